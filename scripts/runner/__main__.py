"""Start everything of the Procfile, print the page's URL, and stop everything on Ctrl-C.

Run from the project's folder, in its environment: `scripts/run` does both. SIGINT, SIGTERM and SIGHUP end it.
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

from runner import demo, folders, leftovers, ports, supervise
from runner.exits import ExitLog
from runner.plan import Plan, given_settings, make_plan
from runner.ready import ask_bot, check_supervisord, wait_until_ready
from runner.terminal import StartFailed, complain, say
from warmer.errors import ConfigError

TURN = 0.2  # seconds


class Stop:
    """Whether somebody wants the stop: the signal is noted, whoever works looks here between two steps."""

    def __init__(self) -> None:
        self._asked = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # ignored under nohup
                signal.signal(number, self._note)

    def asked(self) -> bool:
        return self._asked

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True


def main() -> int:
    """Return the exit status."""
    if sys.argv[1:]:
        complain("scripts/run takes no arguments: settings come from the environment and .env")
        return 2
    stop = Stop()
    try:
        given = given_settings()
        places = folders.make(given.get("DATA_DIR", "data"))
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
    return 0


def serve(plan: Plan, stop: Stop) -> None:
    """Run it all until somebody wants the stop."""
    if plan.is_demo:
        say("No TELEGRAM_BOT_TOKEN: a demo, with a fake Telegram, for this machine only.")
    say(f"Starting {', '.join((*plan.helpers, *plan.services))}…")
    exits = ExitLog(plan.folders)
    supervisord = supervise.start(plan)
    try:
        wait_until_ready(plan, exits, supervisord, stop.asked)
        if plan.is_demo:
            demo.register_partners(plan.page, plan.settings.api_keys[0].get_secret_value(), stop.asked)
        if not stop.asked():
            announce(plan)
        while not stop.asked():
            check_supervisord(supervisord, exits)
            exits.report()
            time.sleep(TURN)
    finally:
        end(plan, supervisord)


def announce(plan: Plan) -> None:
    """Say where everything is."""
    shown = plan.folders.shown
    say(f"Avatars are warm at {plan.page}")
    if ask_bot(plan) == "unauthorized":
        say("Telegram refuses TELEGRAM_BOT_TOKEN: no picture can be fetched until it is right")
    if "flower" in plan.services:
        where = f" (user:password in {shown(plan.folders.keys)})" if "FLOWER_BASIC_AUTH" in plan.made else ""
        say(f"Flower: http://127.0.0.1:{plan.settings.flower_port}/{where}")
    say(f"Logs: {shown(plan.folders.logs)}")
    say("Ctrl-C stops everything.")


def end(plan: Plan, supervisord: subprocess.Popen[bytes]) -> None:
    """Stop everything that supervisord has started."""
    if supervisord.poll() is None:
        say("Stopping…")
        supervise.stop(supervisord)
        leftovers.end_marked(plan.folders, grace=0)
    else:
        leftovers.end_marked(plan.folders)


if __name__ == "__main__":
    sys.exit(main())
