"""Fills the measured figures into README.md and docs/performance.md: whole lines of their tables, found by their ends.

A line is written only if all of its figures were measured; otherwise it stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benches.record import Record
from benches.results import show_number
from benches.testbed import ROOT

README, PERFORMANCE = ROOT / "README.md", ROOT / "docs" / "performance.md"
Find = Callable[[str, str, str, str], str]  # part, work, who, figure → the number as text
OURS, GUNICORN, GRANIAN = "this service", "this service, gunicorn", "this service, granian"
BEFORE, AFTER, ALONE = "the original, before", "the original, after", "Telegram's two calls"
# The first cell of a line of the CPU per picture → who makes it.
MAKERS = {
    OURS: OURS,
    "the same steps in thread pools, without Celery": "thread pools without Celery",
    AFTER: AFTER,
    "thumbor, with curl": "thumbor, with curl",
}
AGAIN = "warm, and the browser's own cache"


class NotMeasured(Exception):
    """A figure of the line is missing."""


@dataclass(frozen=True)
class Line:
    """A line of a table: its first cell, and how its other cells are made."""

    file: Path
    first: str
    make_others: Callable[[Find], list[str]]


def _first_four(state: str) -> Callable[[Find], list[str]]:
    """The times of this service and of its rivals; a dash for one that was not measured."""

    def make_others(find: Find) -> list[str]:
        def show(who: str) -> str:
            try:
                return f"{find('first-four', state, who, 'ms')} ms"
            except NotMeasured:
                return "–"

        return [f"{find('first-four', state, OURS, 'ms')} ms", show(AFTER), show(BEFORE)]

    return make_others


def _cpu_per_picture(who: str) -> Callable[[Find], list[str]]:
    """The CPU milliseconds by kind of process, of all of them, and the cores in use."""
    kinds = ("itself", "Redis", "web tier and client", "fake Telegram")
    figures = [*(f"CPU ms per photo, {kind}" for kind in kinds), "CPU ms per photo", "cores in use"]
    return lambda find: [find("cold", "cold throughput", who, figure) for figure in figures]


LINES = [
    Line(
        README,
        "first four pictures on screen, none stored when the list is requested",
        lambda find: [
            f"{find('first-four', 'cold', OURS, 'ms')} ms (if each is fetched when its `<img>` asks: "
            f"{find('first-four', 'cold', BEFORE, 'ms')} ms)",
            "`./scripts/bench first-four`",
        ],
    ),
    Line(
        README,
        "stored pictures served per second, by one process on one core",
        lambda find: [
            f"{find('hits', 'hit', GUNICORN, 'requests/s')} with gunicorn, "
            f"{find('hits', 'hit', GRANIAN, 'requests/s')} with granian",
            "`./scripts/bench hits`",
        ],
    ),
    Line(
        README,
        "one picture that is not stored yet, p50",
        lambda find: [
            f"{find('cold', 'miss, one client', OURS, 'p50 ms')} ms (the two calls alone, of a fake Telegram: "
            f"{find('cold', 'miss, one client', ALONE, 'p50 ms')} ms)",
            "`./scripts/bench cold`",
        ],
    ),
    *(Line(PERFORMANCE, state, _first_four(state)) for state in ("cold", "warm", AGAIN)),
    *(Line(PERFORMANCE, first, _cpu_per_picture(who)) for first, who in MAKERS.items()),
]


def fill_pages(record: Record) -> list[Path]:
    """Write the figures into the pages; the pages that changed."""
    written = []
    for file in (README, PERFORMANCE):
        text = file.read_text("utf-8")
        filled = fill(text, [line for line in LINES if line.file == file], record)
        if filled != text:
            file.write_text(filled, "utf-8")
            written.append(file)
    return written


def fill(text: str, lines: list[Line], record: Record) -> str:
    """The text with these lines; raises LookupError if the text has no such line."""

    def find(part: str, work: str, who: str, figure: str) -> str:
        value = record.find(part, work, who, figure)
        if value is None:
            raise NotMeasured
        return show_number(value)

    found = text.splitlines()
    for line in lines:
        place = next((place for place, one in enumerate(found) if one.startswith(f"| {line.first} |")), None)
        if place is None:
            raise LookupError(f"{line.file.name} has no line for: {line.first}")
        try:
            found[place] = f"| {' | '.join([line.first, *line.make_others(find)])} |"
        except NotMeasured:
            continue
    return "\n".join(found) + "\n"
