"""Writes docs/benchmarks from the measurements of a whole run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benches import machine, plot
from benches.results import Measurement, Part, Row, show_number
from benches.testbed import ROOT

FOLDER = ROOT / "docs" / "benchmarks"
INTRODUCTION = (
    "`./scripts/bench` writes this page. A target is a ratio within one run unless its row names a unit.",
    "A figure is the median of alternating rounds; the range shows the lowest and the highest round.",
)
# The drawn figure of each part, and the better direction.
DRAWN = {
    "hits": "requests/s (more is better)",
    "cold": "photos/s (more is better)",
    "open-app": "ms (less is better)",
    "render": "CPU ms (less is better)",
    "memory": "RSS MB (less is better)",
    "scale": "ms (less is better)",
}
HEAD = "| work | against | target | measured | |\n|---|---|---|---|---|"


def write(parts: Sequence[Part], missing: Sequence[str], say: Callable[[str], None]) -> None:
    """Write all files; `missing` are the peers that could not be installed."""
    FOLDER.mkdir(exist_ok=True)
    facts, versions = machine.describe_machine(), machine.list_versions()
    (FOLDER / "results.md").write_text(make_page(parts, missing, facts, versions), "utf-8")
    record = json.dumps(make_record(parts, missing, facts, versions), indent=1, ensure_ascii=False)
    (FOLDER / "results.json").write_text(record + "\n", "utf-8")
    plot.draw_bars(list_panels(parts), f"{facts['processor']}, {facts['date']}", FOLDER / "plot.png")
    say(f"Written: results.md, results.json and plot.png in {FOLDER.relative_to(ROOT)}")


def write_measurements(file: Path, rounds: int, measurements: Sequence[Measurement]) -> None:
    """Write the measurements of one part that has a file of its own."""
    found = [asdict(one) for one in measurements]
    record = {"machine": machine.describe_machine(), "rounds": rounds, "measurements": found}
    file.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def list_panels(parts: Sequence[Part]) -> dict[str, list[dict[str, Any]]]:
    """The drawn measurements by the title of their panel."""
    panels: dict[str, list[dict[str, Any]]] = {}
    for part in parts:
        figure = DRAWN[part.name]
        for one in part.measurements:
            if one.figure == figure.partition(" (")[0]:
                panels.setdefault(f"{part.name}: {one.work}, {figure}", []).append(asdict(one))
    return panels


def make_page(parts: Sequence[Part], missing: Sequence[str], facts: dict[str, str], versions: dict[str, str]) -> str:
    """The complete report in Markdown."""
    lines = ["# Benchmark results", "", *INTRODUCTION, ""]
    lines += [f"- {name}: {fact}" for name, fact in facts.items()]
    lines += [f"- versions: {', '.join(f'{name} {number}' for name, number in versions.items())}", ""]
    lines += ["## Targets", "", make_table([row for part in parts for row in part.rows])]
    for part in parts:
        lines += [f"## Part {part.name}", "", "| work | who | figure | median | range |", "|---|---|---|---:|---|"]
        lines += [show_measurement(measurement) for measurement in part.measurements] + [""]
    skipped = [*missing, *(f"{part.name}: {reason}" for part in parts for reason in part.skipped)]
    lines += ["## Skipped", "", *([f"- {reason}" for reason in skipped] or ["Nothing."])]
    return "\n".join(lines) + "\n"


def make_record(
    parts: Sequence[Part], missing: Sequence[str], facts: dict[str, str], versions: dict[str, str]
) -> dict[str, Any]:
    """The same as JSON; every row says whether its target holds."""
    shown = [asdict(part) | {"rows": [asdict(row) | {"holds": row.holds} for row in part.rows]} for part in parts]
    return {"machine": facts, "versions": versions, "missing": list(missing), "parts": shown}


def make_table(rows: Sequence[Row]) -> str:
    """The targets as a table, including the missed ones."""
    lines = [f"| {row.work} | {row.against} | {_target(row)} | {_measured(row)} | {_verdict(row)} |" for row in rows]
    return "\n".join([HEAD, *lines]) + "\n"


def show_row(row: Row) -> str:
    """A target as one line of text."""
    return f"{row.work}, against {row.against}: {_measured(row)} (target {_target(row)}) {_verdict(row)}"


def show_measurement(one: Measurement) -> str:
    """A figure as a line of a table."""
    figures = f"{show_number(one.value)} | {show_number(one.low)} – {show_number(one.high)}"
    return f"| {one.work} | {one.who} | {one.figure} | {figures} |"


def _verdict(row: Row) -> str:
    return f"{'holds' if row.holds else '**MISS**'}{': ' if row.note else ''}{row.note}"


def _measured(row: Row) -> str:
    return f"{show_number(row.measured)} {row.unit}".rstrip()


def _target(row: Row) -> str:
    return f"{'≥' if row.is_floor else '≤'} {show_number(row.target)} {row.unit}".rstrip()
