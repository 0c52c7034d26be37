"""Starts all processes of the Procfile, prints the page's URL, and stops everything on Ctrl-C.

With the name of a line of the Procfile, it becomes that process alone.

`scripts/run` runs this in the project's folder and environment. SIGINT, SIGTERM and SIGHUP stop it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from runner import demo, folders, leftovers, ports, procfile, supervise
from runner.exits import ExitLog
from runner.plan import Plan, make_plan
from runner.ready import ask_bot, check_supervisord, wait_until_ready
from runner.terminal import StartFailed, complain, say
from warmer.broker.start_check import check_servers
from warmer.errors import ConfigError
from warmer.photo_urls import get_url_warning
from warmer.sources import find_data_dir, read_given

POLL = 0.2  # seconds
BOT_TROUBLES = {  # by the word of `/readyz`
    "unauthorized": "Telegram refuses TELEGRAM_BOT_TOKEN: no picture can be fetched until it is correct",
    "logged_out": "The bot is logged out at Telegram: set TELEGRAM_API_URL to the server that it logged in to",
    "unreachable": "Telegram is unreachable: no picture can be fetched until it answers; run avatar-warmer diagnose",
}


class StopSignal:
    """Remembers a signal to stop; the work checks it between two steps."""

    def __init__(self) -> None:
        self._is_set = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # ignored under nohup
                signal.signal(number, self._set)

    def is_set(self) -> bool:
        return self._is_set

    def _set(self, _number: int, _frame: FrameType | None) -> None:
        self._is_set = True


def main() -> int:
    """Return the exit status."""
    if sys.argv[1:]:
        return start_one(sys.argv[1:])
    stop = StopSignal()
    try:
        given = read_given()
        places = folders.make(find_data_dir(given))
        folders.lock(places)
        leftovers.end_leftovers(places)
        try:
            serve(make_plan(places, given), stop)
        finally:
            places.running.unlink(missing_ok=True)
            ports.release()
    except (ConfigError, StartFailed) as error:
        complain(str(error))
        return 1
    except OSError as error:  # mostly a full disk
        complain(f"{error.filename or 'DATA_DIR'}: {error.strerror}")
        return 1
    return 0


def start_one(names: list[str]) -> int:
    """Become the process of one line of the Procfile. Returns the exit status if that fails."""
    if len(names) > 1:
        complain("takes at most one argument, the name of a line of the Procfile")
        return 2
    try:
        procfile.become(names[0])
    except StartFailed as error:
        complain(str(error))
        return 2


def serve(plan: Plan, stop: StopSignal) -> None:
    """Run all processes until the stop signal. Raises ConfigError or StartFailed."""
    if plan.is_demo:
        say("No TELEGRAM_BOT_TOKEN: a demo, with a fake Telegram, for this machine only.")
    check_servers(plan.settings)
    if stop.is_set():
        return
    say(f"Starting {', '.join((*plan.helpers, *plan.services))}…")
    exits = ExitLog(plan.folders)
    supervisord = supervise.start(plan)
    try:
        wait_until_ready(plan, exits, supervisord, stop.is_set)
        if plan.is_demo:
            demo.register_partners(plan.page, plan.settings, stop.is_set)
        if not stop.is_set():
            announce(plan)
        while not stop.is_set():
            check_supervisord(supervisord, exits)
            exits.report()
            time.sleep(POLL)
    finally:
        end(plan, supervisord)


def announce(plan: Plan) -> None:
    """Print where everything is."""
    shown = plan.folders.shown
    say(f"Avatars are warm at {plan.page_for_operators}")
    if trouble := BOT_TROUBLES.get(ask_bot(plan)):
        say(trouble)
    if warning := get_url_warning(plan.settings):
        say(warning)
    if "flower" in plan.services:
        where = f" (user:password in {shown(plan.folders.keys)})" if "FLOWER_BASIC_AUTH" in plan.made else ""
        say(f"Flower: http://127.0.0.1:{plan.settings.flower_port}/{where}")
    say(f"Logs: {shown(plan.folders.logs)}")
    say("Ctrl-C stops everything.")


def end(plan: Plan, supervisord: subprocess.Popen[bytes]) -> None:
    """Stop all processes of this start."""
    if supervisord.poll() is None:
        say("Stopping…")
        supervise.stop(supervisord)
        leftovers.end_marked(plan.folders, grace=0)
    else:
        leftovers.end_marked(plan.folders)


if __name__ == "__main__":
    sys.exit(main())
