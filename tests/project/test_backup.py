"""The nightly list of the partners: a lost Redis must not push the good lists out."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.running import ROOT

HEADER = "id,name,photo_file_id\n"


def back_up(folder: Path, exported: str) -> subprocess.CompletedProcess[str]:
    program = folder.parent / "avatar-warmer"
    (folder.parent / "exported").write_text(exported)
    program.write_text(f"#!/bin/sh\ncat '{folder.parent}/exported'\n")
    program.chmod(0o700)
    script = ["/bin/sh", str(ROOT / "deploy" / "backup"), str(folder), str(program)]
    return subprocess.run(script, capture_output=True, text=True, check=False)


def read_lists(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.glob("partners-*.csv")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "backup"
    folder.mkdir()
    return folder


def test_the_first_list_is_written_even_if_nobody_is_registered(folder: Path) -> None:
    assert back_up(folder, HEADER).returncode == 0
    assert read_lists(folder) == [HEADER]


def test_a_list_replaces_that_of_the_same_day(folder: Path) -> None:
    longer = f"{HEADER}42,Ann,\n43,Bob,\n"
    for exported in (HEADER, f"{HEADER}42,Ann,\n", longer):
        assert back_up(folder, exported).returncode == 0
    assert read_lists(folder) == [longer]


@pytest.mark.parametrize("left", ["", "44,Cleo,\n"])
def test_a_list_with_less_than_half_of_the_partners_fails_and_replaces_none(folder: Path, left: str) -> None:
    good = f"{HEADER}42,Ann,\n43,Bob,\n44,Cleo,\n"
    (folder / "partners-1.csv").write_text(good)
    done = back_up(folder, HEADER + left)
    assert (done.returncode, read_lists(folder)) == (1, [good])
    assert "has 3: all stay" in done.stderr


def test_a_list_that_breaks_off_replaces_none(folder: Path) -> None:
    (folder / "partners-1.csv").write_text(HEADER)
    script = ["/bin/sh", str(ROOT / "deploy" / "backup"), str(folder), "/bin/false"]
    assert subprocess.run(script, check=False).returncode == 1
    assert read_lists(folder) == [HEADER]
