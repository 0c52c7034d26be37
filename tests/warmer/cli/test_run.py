"""`avatar-warmer run` and `avatar-warmer settings`: what they find beside the code."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support.cli_parts import answer, call, fail
from tests.support.running import ROOT
from warmer.sources import FOLDER


@pytest.mark.parametrize(("given", "found"), [("", "."), ("mine", "mine")])
def test_installed_from_a_wheel_a_start_keeps_its_files_in_the_current_folder_or_the_one_that_is_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str, found: str
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _program, words: started.append(words))
    monkeypatch.setattr("warmer.cli.run.IS_CLONE", False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(FOLDER, given)
    assert call("run").exit_code == 0
    assert started == [[sys.executable, str(ROOT / "scripts" / "runner")]]
    assert (os.environ[FOLDER], Path.cwd()) == (str((tmp_path / found).resolve()), ROOT)


def test_the_name_of_a_line_of_the_procfile_is_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _program, words: started.append(words))
    monkeypatch.chdir(tmp_path)  # the command leaves it
    assert call("run", "worker2").exit_code == 0
    assert [words[2:] for words in started] == [["worker2"]]


def test_the_settings_are_printed_as_the_example_explains_them() -> None:
    text = (ROOT / ".env.example").read_text("utf-8")
    assert call("settings").stdout == text
    assert answer("settings", "--json") == {"settings": text}


def test_an_installation_without_the_example_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("warmer.cli.settings.PROJECT", tmp_path)
    status, line = fail("settings")
    assert (status, str(tmp_path / ".env.example") in line) == (1, True)
