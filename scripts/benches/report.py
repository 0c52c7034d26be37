"""Writes docs/benchmarks from the measurements of a whole run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benches import machine, peers_env
from benches.results import Measurement, Part, Row
from benches.testbed import ROOT

FOLDER = ROOT / "docs" / "benchmarks"
INTRODUCTION = (
    "`./scripts/bench` writes this page. A target is a ratio within one run unless its row names a unit.",
    "A figure is the median of alternating rounds; the range shows the lowest and the highest round.",
)
HEAD = "| work | against | target | measured | |\n|---|---|---|---|---|"


def write(parts: Sequence[Part], missing: Sequence[str], say: Callable[[str], None]) -> None:
    """Write all files; `missing` are the peers that could not be installed."""
    FOLDER.mkdir(exist_ok=True)
    facts = {"date": f"{datetime.now(UTC):%d %B %Y}", **machine.describe_machine()}
    versions = machine.list_versions()
    (FOLDER / "results.md").write_text(make_page(parts, missing, facts, versions), "utf-8")
    results = FOLDER / "results.json"
    record = json.dumps(make_record(parts, missing, facts, versions), indent=1, ensure_ascii=False)
    results.write_text(record + "\n", "utf-8")
    say(f"Written: {results.with_suffix('.md').relative_to(ROOT)}, results.json")
    say(_plot(results, FOLDER / "plot.png"))


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
    return "\n".join([HEAD, *(_show_cells(row) for row in rows)]) + "\n"


def show_row(row: Row) -> str:
    """A target as one line of text."""
    return f"{row.work}, against {row.against}: {_measured(row)} (target {_target(row)}) {_verdict(row)}"


def show_measurement(one: Measurement) -> str:
    """A figure as a line of a table."""
    figures = f"{_number(one.value)} | {_number(one.low)} – {_number(one.high)}"
    return f"| {one.work} | {one.who} | {one.figure} | {figures} |"


def _show_cells(row: Row) -> str:
    return f"| {row.work} | {row.against} | {_target(row)} | {_measured(row)} | {_verdict(row)} |"


def _verdict(row: Row) -> str:
    return f"{'holds' if row.holds else '**MISS**'}{': ' if row.note else ''}{row.note}"


def _measured(row: Row) -> str:
    return f"{_number(row.measured)} {row.unit}".rstrip()


def _target(row: Row) -> str:
    return f"{'≥' if row.is_floor else '≤'} {_number(row.target)} {row.unit}".rstrip()


def _number(value: float) -> str:
    """The number with three significant digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _plot(results: Path, picture: Path) -> str:
    """Draw the picture with the peers' matplotlib. Returns a sentence for the person at the terminal."""
    python = peers_env.find("python")
    if python is None:
        return "No plot: matplotlib is not installed."
    program = Path(__file__).with_name("plot.py")
    done = subprocess.run(
        [str(python), str(program), str(results), str(picture)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return f"No plot: {done.stderr.strip().splitlines()[-1]}"
    return f"Written: {picture.relative_to(ROOT)}"
