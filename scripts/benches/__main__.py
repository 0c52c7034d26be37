"""Compares the service with others: `scripts/bench` runs this in the project's environment.

    scripts/bench [hits] [cold] [open-app] [render] [memory] [scale]
    scripts/bench first-four [--draw-only]
    scripts/bench round-trips

A run of all parts writes its results to docs/benchmarks; named parts only print them. `first-four` has
its own file and picture; `round-trips` prints counts, which are the same on every machine.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType, ModuleType

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benches import load, peers_env, report, tools
from benches.results import Part
from benches.testbed import BOTH
from runner.terminal import StartFailed, complain, say

PARTS = ("hits", "cold", "open-app", "render", "memory", "scale")
APART = ("first-four", "round-trips")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(names: Sequence[str]) -> int:
    """Return the exit status: 0 even if a target is missed, since that is a result."""
    if unknown := [name for name in names if name not in PARTS and names[0] not in APART]:
        complain(f"no part is named {unknown[0]!r}: there are {', '.join((*PARTS, *APART))}")
        return 2
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # ignored under nohup
            signal.signal(number, _stop)
    started = time.monotonic()
    try:
        if names and names[0] in APART:
            return int(_find_module(names[0]).main(names[1:]))
        _check_cores()
        missing = [*tools.prepare(say), *peers_env.prepare(say)]
        parts = [_run(name) for name in names or PARTS]
        if not names:
            report.write(parts, missing, say)
    except (StartFailed, load.BrokenRound, TimeoutError) as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        say("Interrupted; no results are written.")
        return 130
    say(f"Done in {time.monotonic() - started:.0f} s.")
    return 0


def _run(name: str) -> Part:
    started = time.monotonic()
    part: Part = _find_module(name).run(lambda line: say(f"{name}: {line}"))
    for line in (*map(report.show_row, part.rows), *(f"skipped: {reason}" for reason in part.skipped)):
        say(f"{name}: {line}")
    say(f"{name}: took {time.monotonic() - started:.0f} s")
    return part


def _find_module(name: str) -> ModuleType:
    return importlib.import_module(f"benches.{name.replace('-', '_')}")


def _check_cores() -> None:
    """Raise StartFailed if servers and load generators would share a core."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    if not cores >= set(BOTH):
        raise StartFailed("the benchmark needs two cores, 0 and 1")


def _stop(_number: int, _frame: FrameType | None) -> None:
    """Interrupt the work; further signals must not interrupt the end of the children."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
