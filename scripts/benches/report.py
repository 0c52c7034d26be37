"""Writes docs/benchmarks, and the figures that other pages name, from the record of all results."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benches import extent, machine, pages, plot
from benches.record import Record, read_record
from benches.results import Measurement, Part, Row, show_number
from benches.testbed import ROOT

FOLDER = ROOT / "docs" / "benchmarks"
QUICK_FOLDER = ROOT / "build" / "bench"  # a quick run's figures mean nothing
INTRODUCTION = (
    "`./scripts/bench` writes this page. A target is a ratio within one run unless its row names a unit.",
    "A figure is the median of alternating rounds; the range shows the lowest and the highest round, *times* says how",
    "many there were. *Counted* figures are the same in every run of these versions.",
    "",
    "A target that holds is *raised* to 1.1 × what was reached, and the raised one stays until a later run on the same",
    "kind of machine reaches it and raises it again. A row *rose* or *fell* if all of its rounds are outside the range",
    "of that machine's last run. A moonshot is wished for, not promised.",
)
# The drawn figure of each part, and the better direction.
DRAWN = {
    "hits": "requests/s (more is better)",
    "cold": "photos/s (more is better)",
    "open-app": "ms (less is better)",
    "first-four": "ms (less is better)",
    "render": "CPU ms (less is better)",
    "memory": "RSS MB (less is better)",
    "scale": "ms (less is better)",
}
HEAD = "| work | against | target | measured | range | times | |\n|---|---|---|---|---|---:|---|"
PART_HEAD = ["| work | who | figure | median | range | times |", "|---|---|---|---:|---|---:|"]
UNEXPLAINED = "not explained yet"
Say = Callable[[str], None]
Notes = dict[str, str]  # "work | against" → why the target is missed


def find_folder() -> Path:
    """Where this run writes."""
    return QUICK_FOLDER if extent.IS_QUICK else FOLDER


def read_results() -> Record:
    """The results so far."""
    return read_record(find_folder() / "results.json")


def write(record: Record, say: Say) -> None:
    """Write the pages and pictures of docs/benchmarks; then the other pages, unless this is a quick run."""
    folder = find_folder()
    (folder / "results.md").write_text(make_page(record, read_notes()), "utf-8")
    if panels := list_panels(record.parts):
        facts = record.machine
        plot.draw_bars(panels, f"{facts.get('processor', '')}, {facts.get('date', '')}", folder / "plot.png")
    draw_first_four(record, folder)
    written = [] if extent.IS_QUICK else pages.fill_pages(record)
    say(f"Written: {', '.join(str(file.relative_to(ROOT)) for file in (folder / 'results.md', *written))}")


def save(record: Record) -> None:
    """Write the results."""
    record.write(find_folder() / "results.json")


def describe(record: Record, missing: Sequence[str]) -> None:
    """Note the machine and the versions of this run."""
    record.machine, record.versions = machine.describe_machine(), machine.list_versions()
    record.missing = list(missing)


def read_notes() -> Notes:
    """Why targets are missed; edited by hand, and shown beside the missed ones only."""
    notes: Notes = json.loads((FOLDER / "notes.json").read_text("utf-8"))
    return notes


def write_measurements(file: Path, rounds: int, measurements: Sequence[Measurement]) -> None:
    """Write the measurements of one part that has a file of its own."""
    found = [asdict(one) for one in measurements]
    record = {"machine": machine.describe_machine(), "rounds": rounds, "measurements": found}
    file.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def list_panels(parts: Sequence[Part]) -> dict[str, list[dict[str, Any]]]:
    """The drawn measurements by the title of their panel."""
    panels: dict[str, list[dict[str, Any]]] = {}
    for part in parts:
        figure = DRAWN.get(part.name, "none")
        for one in part.measurements:
            if one.figure == figure.partition(" (")[0]:
                panels.setdefault(f"{part.name}: {one.work}, {figure}", []).append(asdict(one))
    return panels


def draw_first_four(record: Record, folder: Path) -> None:
    """Draw the pictures of that part, with one scale for all states."""
    for part in (part for part in record.parts if part.name == "first-four"):
        times = [asdict(one) for one in part.measurements if one.figure == "ms"]
        works = dict.fromkeys(one["work"] for one in times)
        panels = {work: [one for one in times if one["work"] == work] for work in works}
        note = "ms from the start of the navigation until the last of the first four pictures is loaded, in Chromium.\n"
        note += f"Median of {max(one['times'] for one in times)}; Telegram takes 50 ms a call, 100 ms a connection. "
        note += f"{record.machine['processor']}, {part.date}"
        plot.draw_bars(panels, note, folder / "first-four.png", sharex=True)


def make_page(record: Record, notes: Notes) -> str:
    """The complete report in Markdown."""
    lines = ["# Benchmark results", "", *INTRODUCTION, ""]
    lines += [f"- {name}: {fact}" for name, fact in record.machine.items()]
    lines += [f"- versions: {', '.join(f'{name} {number}' for name, number in record.versions.items())}", ""]
    lines += ["## Targets", "", make_table([row for part in record.parts for row in part.rows], notes)]
    for part in record.parts:
        lines += [
            f"## Part {part.name}",
            "",
            f"Measured on {part.date}{f', in {part.seconds:.0f} s' if part.seconds else ''}.",
        ]
        lines += ["", *PART_HEAD, *map(show_measurement, part.measurements), ""]
    skipped = [*record.missing, *(f"{part.name}: {reason}" for part in record.parts for reason in part.skipped)]
    skipped += [f"{name} failed on {reason}" for name, reason in record.failed.items()]
    lines += ["## Skipped", "", *([f"- {reason}" for reason in skipped] or ["Nothing."])]
    return "\n".join(lines) + "\n"


def make_table(rows: Sequence[Row], notes: Notes) -> str:
    """The targets as a table, including the missed ones."""
    lines = [
        f"| {row.work} | {row.against} | {_target(row)} | {_measured(row)} | {_range(row)} "
        f"| {row.times or '–'} | {_verdict(row, notes)} |"
        for row in rows
    ]
    return "\n".join([HEAD, *lines]) + "\n"


def show_row(row: Row) -> str:
    """A target as one line of text."""
    found = f"{_measured(row)}, {_range(row)}, measured {row.times or '–'} ×"
    return f"{row.work}, against {row.against}: {found} (target {_target(row)}) {_verdict(row, read_notes())}"


def show_measurement(one: Measurement) -> str:
    """A figure as a line of a table."""
    figures = f"{show_number(one.value)} | {_range(one)} | {one.times or '–'}"
    return f"| {one.work} | {one.who} | {one.figure} | {figures} |"


def list_stray_notes(record: Record, notes: Notes) -> list[str]:
    """The notes that no row of these results has."""
    known = {f"{row.work} | {row.against}" for part in record.parts for row in part.rows}
    return [key for key in notes if key not in known]


def _verdict(row: Row, notes: Notes) -> str:
    why = [row.note] if row.note else []
    words = ["holds" if row.holds else "moonshot, not reached" if row.is_moonshot else "**MISS**"]
    if not row.holds:
        why += [notes.get(f"{row.work} | {row.against}", "" if why else UNEXPLAINED)]
    words += _list_changes(row)
    return ": ".join(filter(None, ["; ".join(words), "; ".join(filter(None, why))]))


def _list_changes(row: Row) -> list[str]:
    """What the row says of the last run and of the next one."""
    changes = []
    if row.trend and row.last is not None:
        better = "better" if (row.trend == "rose") == row.is_floor else "worse"
        changes.append(f"{row.trend} from {_show(row, row.last)}, {better}")
    if row.is_at_limit:
        return [*changes, f"no run can better it, since {row.limit_reason}"]
    if row.sought is not None and row.meets(row.sought):
        changes.append(f"reached the raised {_bound(row, row.sought)}")
    if row.holds and row.raised is not None:
        changes.append(f"raised to {_bound(row, row.raised)}")
    return changes


def _range(one: Row | Measurement) -> str:
    if isinstance(one, Measurement) and one.is_counted:
        return "counted"
    if one.low is None or one.high is None:
        return "–"
    return "no spread" if one.times == 1 else f"{show_number(one.low)} – {show_number(one.high)}"


def _measured(row: Row) -> str:
    return _show(row, row.measured)


def _target(row: Row) -> str:
    return _bound(row, row.target)


def _bound(row: Row, value: float) -> str:
    return f"{'≥' if row.is_floor else '≤'} {_show(row, value)}"


def _show(row: Row, value: float) -> str:
    return f"{show_number(value)} {row.unit}".rstrip()
