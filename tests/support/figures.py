"""What the fault tests measure: held to a bound, shown at the end, and written into the file that FIGURES names."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

START, END = "<!-- figures -->", "<!-- /figures -->"
HEAD = "| fault | what | measured | at most |\n|---|---|---|---|"


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str, float, float], None]:
    """Notes what a test measured, "fault: what", in seconds unless that says otherwise, and holds it to its bound."""

    def note(name: str, value: float, at_most: float) -> None:
        record_property(name, (value, at_most))
        assert value <= at_most, f"{name}: {value:.3g}, at most {at_most:g}"

    return note


@pytest.fixture(scope="module", autouse=True)
def _share_of_the_machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Modules of faults run beside each other, but for one that measures under load."""
    marks = {mark.name for mark in request.node.iter_markers()}
    if "faults" not in marks:
        yield
        return
    is_one_of_many = "PYTEST_XDIST_WORKER" in os.environ
    folder = tmp_path_factory.getbasetemp()
    with ((folder.parent if is_one_of_many else folder) / "machine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if "alone" in marks else fcntl.LOCK_SH)
        yield


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for the machine waits until there is nothing else to do."""
    items.sort(key=lambda item: item.get_closest_marker("alone") is not None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of all figures."""
    reports = [*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())]
    figures = sorted(row for report in reports if report.when == "call" for row in report.user_properties)
    rows = []
    for name, (value, at_most) in figures:
        fault, _, what = name.partition(": ")
        rows.append(f"| {fault} | {what} | {value:.3g} | {at_most:.3g} |")
        terminalreporter.write_line(rows[-1])
    if rows and (place := os.environ.get("FIGURES")):
        _write(Path(place), rows)


def _write(file: Path, rows: list[str]) -> None:
    """The rows take the place of those about the same; the others stay."""
    before, old, after = re.split(f"{START}\n|{END}", file.read_text("utf-8"))
    known = {_subject_of(row): row for row in [*old.splitlines()[2:], *rows]}
    table = "\n".join([HEAD, *(known[subject] for subject in sorted(known))])
    file.write_text(f"{before}{START}\n{table}\n{END}{after}", "utf-8")


def _subject_of(row: str) -> str:
    return row.rpartition("|")[0].rpartition("|")[0].rpartition("|")[0]
