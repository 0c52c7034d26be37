"""The results of parts that come from different runs, and their figures in the pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from benches.pages import LINES, README, fill
from benches.record import Record, read_record
from benches.results import Measurement, Part, Row

ORDER = ("hits", "cold", "storm")
OLD, NEW = Part("hits", date="2026-11-22"), Part("hits", date="2026-11-30")
COLD = Part("cold", date="2026-11-22")
LINE = next(line for line in LINES if line.first.startswith("stored pictures"))
PAGE = f"# A page\n\n| {LINE.first} | 3,961 with gunicorn, 29,698 with granian | `./scripts/bench hits` |\n"


def make_record(**rates: float) -> Record:
    """Returns a record with the part `hits`, and this service's rates in it."""
    found = [
        Measurement("hit", f"this service, {server}", "requests/s", rate, rate, rate) for server, rate in rates.items()
    ]
    return Record(parts=[Part("hits", found)])


def test_a_part_replaces_its_own_results_and_keeps_its_place() -> None:
    record = Record(parts=[OLD, COLD])
    record.put(NEW, ORDER)
    record.put(Part("storm"), ORDER)
    assert [(part.name, part.date) for part in record.parts] == [
        ("hits", "2026-11-30"), ("cold", "2026-11-22"), ("storm", "")
    ]  # fmt: skip


def test_a_part_is_compared_with_its_last_results() -> None:
    record = Record(parts=[Part("hits", rows=[Row("hit", "thumbor", 6.0, 5.0).follow(None)])])
    record.put(Part("hits", rows=[Row("hit", "thumbor", 5.1, 5.0)]), ORDER)
    [row] = record.parts[0].rows
    assert row.last == 6.0
    assert row.sought == pytest.approx(6.6)


def test_a_part_that_failed_keeps_its_last_results_until_it_reaches_its_end_again() -> None:
    record = Record(parts=[OLD])
    record.fail("hits", "TimeoutError: Redis is missing")
    assert (record.parts, list(record.failed)) == ([OLD], ["hits"])
    record.put(NEW, ORDER)
    assert (record.parts, record.failed) == ([NEW], {})


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [Row("hit", "thumbor", 4.2, 4.0, low=4.1, high=4.3, times=3)]
    record = Record({"memory": "4 GiB"}, parts=[Part("hits", [Measurement("hit", "a peer", "ms", 2, 1, 3, 3)], rows)])
    record.write(tmp_path / "results.json")
    assert read_record(tmp_path / "results.json") == record


def test_no_file_is_an_empty_record(tmp_path: Path) -> None:
    assert read_record(tmp_path / "results.json") == Record()


def test_a_line_gets_the_measured_figures() -> None:
    assert "| 30,000 with gunicorn, 31,000 with granian |" in fill(
        PAGE, [LINE], make_record(gunicorn=30_000, granian=31_000)
    )


def test_a_line_stays_as_it_is_if_one_of_its_figures_is_missing() -> None:
    assert fill(PAGE, [LINE], make_record(gunicorn=30_000)) == PAGE


def test_a_page_that_lost_its_line_is_an_error() -> None:
    with pytest.raises(LookupError, match="has no line for: stored pictures"):
        fill("# A page\n", [line for line in LINES if line.file == README and line is LINE], make_record())
