"""Which processes ended, from a log that supervisord rotates."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import folders
from runner.exits import ExitLog
from runner.folders import Folders

LINE = "2026-01-01 00:00:00,000 INFO exited: web (exit status 3; not expected)\n"


@pytest.fixture
def places(tmp_path: Path) -> Folders:
    return folders.make(tmp_path / "data")


def test_each_exit_is_counted_once_and_also_in_the_file_after_a_rotation(places: Folders) -> None:
    log = places.logs / "supervisord.log"
    log.write_text(LINE)
    exits = ExitLog(places)
    exits.report()
    assert exits.counts.total() == 0  # of an earlier start
    for _ in range(2):
        with log.open("a") as file:
            file.write(LINE)
        exits.report()
    log.rename(log.with_suffix(".1"))
    exits.report()
    log.write_text(LINE)
    exits.report()
    assert (exits.counts["web"], exits.reasons["web"]) == (3, "exit status 3")


def test_a_log_that_is_rotated_between_look_and_reading_ends_no_start(
    places: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    exits, log = ExitLog(places), places.logs / "supervisord.log"
    log.write_text(LINE)

    def rotate_and_open(path: Path, mode: str) -> None:
        path.rename(path.with_suffix(".1"))
        raise FileNotFoundError(str(path), mode)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", rotate_and_open)
        exits.report()
    log.write_text(LINE)
    exits.report()
    assert exits.counts["web"] == 1
