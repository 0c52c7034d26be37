"""Waits until the page answers, and names the failing process if it does not."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from runner.exits import ExitLog
from runner.local_http import ask
from runner.plan import Plan
from runner.terminal import StartFailed, say

DEADLINE = 150.0  # seconds, on a busy machine, too; a process that ends again and again is named sooner
WORKER_PATIENCE = 20.0  # seconds
HEARTBEAT = 10.0  # seconds between progress lines
MAX_EXITS = 3  # of a process before the first answer of the page
POLL = 0.1  # seconds


def wait_until_ready(
    plan: Plan, exits: ExitLog, supervisord: subprocess.Popen[bytes], is_stopping: Callable[[], bool]
) -> None:
    """Return when the page answers, or when the start is cancelled.

    Raises StartFailed with the end of the failing process' log.
    """
    started = said = time.monotonic()
    while not is_stopping():
        status, state = ask(f"{plan.page}readyz")
        if _is_ready(plan, status, state) or _is_patience_over(plan, status, started):
            return
        exits.report()
        check_supervisord(supervisord, exits)
        failing = [name for name in _list_required(plan) if exits.counts[name] >= MAX_EXITS]
        now = time.monotonic()
        missing = "worker" if status == 200 else "web"
        if failing or now > started + DEADLINE:
            raise StartFailed(_blame(failing[0] if failing else missing, exits))
        if now > said + HEARTBEAT:
            said = now
            say(f"Waiting for {missing}… {now - started:.0f} s")
        time.sleep(POLL)


def ask_bot(plan: Plan) -> str:
    """The state of the bot as the workers report it: one of the words of `/readyz`."""
    _, state = ask(f"{plan.page}readyz")
    checks = state.get("checks", {}) if isinstance(state, dict) else {}
    return str(checks.get("bot", "unknown"))


def check_supervisord(supervisord: subprocess.Popen[bytes], exits: ExitLog) -> None:
    """Raise StartFailed if supervisord has ended: nothing would restart the processes."""
    if supervisord.poll() is None:
        return
    name = "supervisord-errors" if exits.tail("supervisord-errors") else "supervisord"
    raise StartFailed(
        f"supervisord ended (status {supervisord.returncode}); the end of {exits.shown(name)}:\n{exits.tail(name)}"
    )


def _is_ready(plan: Plan, status: int, state: object) -> bool:
    """The page answers and a worker is up; in a demo, which shows pictures at once, the bot answers, too."""
    checks = state.get("checks", {}) if isinstance(state, dict) else {}
    return status == 200 and checks.get("worker") == "ok" and (checks.get("bot") == "ok" or not plan.is_demo)


def _is_patience_over(plan: Plan, status: int, started: float) -> bool:
    """The page answers but no worker starts: after a while print the URL anyway, since stored pictures work."""
    return status == 200 and not plan.is_demo and time.monotonic() > started + WORKER_PATIENCE


def _list_required(plan: Plan) -> list[str]:
    """The processes that the page needs, the likeliest cause of a failure first."""
    return [*plan.helpers, "web", *(["worker"] if plan.is_demo else [])]


def _blame(name: str, exits: ExitLog) -> str:
    ends = f" (it ended {exits.counts[name]} times, {exits.reasons[name]})" if exits.counts[name] else ""
    return f"{name} did not come up{ends}; the end of {exits.shown(name)}:\n{exits.tail(name)}"
