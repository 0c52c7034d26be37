"""When the page answers, and who is to blame when it does not."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from runner.journal import Journal
from runner.local_http import ask
from runner.plan import Plan
from runner.terminal import StartFailed, say

DEADLINE = 60.0  # seconds
WORKER_PATIENCE = 20.0  # seconds
HEARTBEAT = 10.0  # seconds between lines while it takes long
HOPELESS = 3  # times a process may end before the page has ever answered
TURN = 0.1  # seconds


def wait_until_ready(
    plan: Plan, journal: Journal, supervisord: subprocess.Popen[bytes], is_stopping: Callable[[], bool]
) -> None:
    """Return when the page answers, or when somebody wants the stop already.

    Raises StartFailed with the end of the log of the process that is to blame.
    """
    started = said = time.monotonic()
    while not is_stopping():
        status, state = ask(f"{plan.page}readyz")
        if _is_ready(plan, status, state) or _is_patience_over(plan, status, started):
            return
        journal.report()
        check_supervisord(supervisord, journal)
        hopeless = [name for name in _awaited(plan) if journal.ends[name] >= HOPELESS]
        now = time.monotonic()
        missing = "worker" if status == 200 else "web"
        if hopeless or now > started + DEADLINE:
            raise StartFailed(_blame(hopeless[0] if hopeless else missing, journal))
        if now > said + HEARTBEAT:
            said = now
            say(f"Waiting for {missing}… {now - started:.0f} s")
        time.sleep(TURN)


def ask_bot(plan: Plan) -> str:
    """How the workers find the bot: ok, unauthorized, unreachable, or unknown."""
    _, state = ask(f"{plan.page}readyz")
    checks = state.get("checks", {}) if isinstance(state, dict) else {}
    return str(checks.get("bot", "unknown"))


def check_supervisord(supervisord: subprocess.Popen[bytes], journal: Journal) -> None:
    """Raise StartFailed if supervisord has ended: nobody would bring back what ends now."""
    if supervisord.poll() is None:
        return
    name = "supervisord-errors" if journal.tail("supervisord-errors") else "supervisord"
    raise StartFailed(
        f"supervisord ended (status {supervisord.returncode}); the end of {journal.shown(name)}:\n{journal.tail(name)}"
    )


def _is_ready(plan: Plan, status: int, state: object) -> bool:
    """The page answers and a worker is up; a demo shows pictures at once, so there the bot has to answer, too."""
    checks = state.get("checks", {}) if isinstance(state, dict) else {}
    return status == 200 and checks.get("worker") == "ok" and (checks.get("bot") == "ok" or not plan.is_demo)


def _is_patience_over(plan: Plan, status: int, started: float) -> bool:
    """A page that answers is worth its URL, even where no worker comes up: it shows what is warm."""
    return status == 200 and not plan.is_demo and time.monotonic() > started + WORKER_PATIENCE


def _awaited(plan: Plan) -> list[str]:
    """Without these there is no page; what is first in the list is the likelier cause."""
    return [*plan.helpers, "web", *(["worker"] if plan.is_demo else [])]


def _blame(name: str, journal: Journal) -> str:
    ends = f" (it ended {journal.ends[name]} times, {journal.last[name]})" if journal.ends[name] else ""
    return f"{name} did not come up{ends}; the end of {journal.shown(name)}:\n{journal.tail(name)}"
