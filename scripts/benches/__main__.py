"""Compares the service with others: `scripts/bench` runs this in the project's environment.

    scripts/bench                      all parts, a quarter of an hour on an idle machine
    scripts/bench hits first-four      these parts alone
    scripts/bench --quick [part…]      the shortest form, which only shows that the parts run
    scripts/bench report               write the pages again, after an edit of docs/benchmarks/notes.json
    scripts/bench round-trips          print counts, which are the same on every machine
    scripts/bench switch-interval      print what sys.setswitchinterval does to hits

Each part that reaches its end is merged into docs/benchmarks/results.json at once, with its own date; one that fails
says so, its last results stay, and the others go on. A quick run writes to build/bench instead.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benches import extent, load, peers_env, report, tools
from benches.record import Record
from benches.results import Part
from benches.testbed import BOTH
from runner.terminal import StartFailed, complain, say

PARTS = ("hits", "waiting", "cold", "open-app", "first-four", "storm", "render", "memory", "scale")
APART: dict[str, Callable[[], int]] = {
    "report": lambda: _write_again(),
    "round-trips": lambda: int(_find_module("round-trips").main([])),
    "switch-interval": lambda: int(_find_module("switch-interval").main(say)),
}
PART_SECONDS = extent.choose(1200, 3600)  # a part that hangs must not end the others
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class TookTooLong(Exception):
    """A part is not at its end after PART_SECONDS."""


def main(arguments: Sequence[str]) -> int:
    """Return the exit status: 0 even if a target is missed, since that is a result; 1 if a part failed."""
    names = [name for name in arguments if name != extent.QUICK]
    if unknown := [name for name in names if name not in PARTS and not (name in APART and len(names) == 1)]:
        complain(f"no part is named {unknown[0]!r}: there are {', '.join((*PARTS, *APART))}")
        return 2
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # ignored under nohup
            signal.signal(number, _stop)
    started = time.monotonic()
    try:
        status = APART[names[0]]() if names and names[0] in APART else _run_parts(names or PARTS)
    except (StartFailed, load.BrokenRound, TimeoutError) as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        say("Interrupted. `./scripts/bench report` shows the parts that reached their end.")
        return 130
    say(f"Done in {time.monotonic() - started:.0f} s.")
    return status


def _run_parts(names: Sequence[str]) -> int:
    """Run these, save after each one, and write the pages at the end."""
    _check_cores()
    missing = [*tools.prepare(say), *peers_env.prepare(say)]
    failed = []
    for name in names:
        record = report.read_results()
        report.describe(record, missing)
        if not _run(name, record):
            failed.append(name)
        report.save(record)
    report.write(record, say)
    if failed:
        complain(f"failed: {', '.join(failed)}; run them again alone: ./scripts/bench {' '.join(failed)}")
    return 1 if failed else 0


def _run(name: str, record: Record) -> bool:
    """Run a part and put its results into the record; or the reason, and return False."""
    started = time.monotonic()
    try:
        with _at_most(PART_SECONDS):
            part: Part = _find_module(name).run(lambda line: say(f"{name}: {line}"))
    except Exception as error:  # noqa: BLE001 - whatever ends one part must not end the others
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        record.fail(name, reason)
        complain(f"{name} failed after {time.monotonic() - started:.0f} s: {reason}")
        return False
    part.date, part.seconds = time.strftime("%Y-%m-%d"), round(time.monotonic() - started, 1)
    part.machine = record.machine["processor"]
    record.put(part, PARTS)
    for line in (*map(report.show_row, part.rows), *(f"skipped: {reason}" for reason in part.skipped)):
        say(f"{name}: {line}")
    say(f"{name}: took {part.seconds:.0f} s")
    return True


def _write_again() -> int:
    """Write the pages from the last results; the notes may have changed."""
    record = report.read_results()
    for stray in report.list_stray_notes(record, report.read_notes()):
        complain(f"no row has the note of {stray!r}")
    report.write(record, say)
    return 0


def _find_module(name: str) -> ModuleType:
    return importlib.import_module(f"benches.{name.replace('-', '_')}")


def _check_cores() -> None:
    """Raise StartFailed if servers and load generators would share a core."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    if not cores >= set(BOTH):
        raise StartFailed("the benchmark needs two cores, 0 and 1")


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    """Raise TookTooLong in this block after so long."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise TookTooLong(f"not at its end after {seconds} s")

    signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def _stop(_number: int, _frame: FrameType | None) -> None:
    """Interrupt the work; further signals must not interrupt the end of the children."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
