"""The measurements of the fault tests: shown at the end, and written into the file that FIGURES names.

No figure has a limit, since durations depend on the machine. Limits belong to `./scripts/bench`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

START, END = "<!-- figures -->", "<!-- /figures -->"
HEAD = "| fault | what | measured |\n|---|---|---|"


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str, float], None]:
    """Records a measurement of the test, named "fault: what", in seconds unless the name says otherwise."""
    return record_property


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of all figures."""
    reports = [*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())]
    figures = sorted(row for report in reports if report.when == "call" for row in report.user_properties)
    rows = []
    for name, value in figures:
        fault, _, what = name.partition(": ")
        rows.append(f"| {fault} | {what} | {value:.3g} |")
        terminalreporter.write_line(rows[-1])
    if rows and (place := os.environ.get("FIGURES")):
        _write(Path(place), rows)


def _write(file: Path, rows: list[str]) -> None:
    """Replace the rows with the same subjects and keep the others."""
    before, old, after = re.split(f"{START}\n|{END}", file.read_text("utf-8"))
    known = {_subject_of(row): row for row in [*old.splitlines()[2:], *rows]}
    table = "\n".join([HEAD, *(known[subject] for subject in sorted(known))])
    file.write_text(f"{before}{START}\n{table}\n{END}{after}", "utf-8")


def _subject_of(row: str) -> str:
    return row.rpartition("|")[0].rpartition("|")[0]
