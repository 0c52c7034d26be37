"""The systemd units: written from the Procfile, and what systemd thinks of them."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner import procfile

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "deploy" / "systemd"
COMMANDS = procfile.read(ROOT / "Procfile")


def read_all(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_what_is_there_is_what_the_procfile_gives(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "deploy" / "units.py", tmp_path], check=True)
    assert read_all(UNITS) == read_all(tmp_path)
    assert len(read_all(UNITS)) == len(COMMANDS) + 1


def test_each_unit_runs_the_line_of_the_procfile() -> None:
    started = {}
    for name in COMMANDS:
        text = (UNITS / f"avatar-warmer-{name}.service").read_text()
        started[name] = re.findall(r"^ExecStart=/usr/bin/env (.+)$", text, re.MULTILINE)
    unescaped = {
        name: [line.replace("%%", "%").replace("$$", "$") for line in lines] for name, lines in started.items()
    }
    assert {name: [shlex.split(line) for line in lines] for name, lines in unescaped.items()} == {
        name: [shlex.split(line)] for name, line in COMMANDS.items()
    }


def test_the_users_part_of_a_host_name_is_not_systemds() -> None:
    assert "worker@%%h" in (UNITS / "avatar-warmer-worker.service").read_text()


def test_systemd_has_nothing_to_say(tmp_path: Path) -> None:
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("no systemd on this machine")
    done = subprocess.run([analyze, "verify", *UNITS.iterdir()], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "avatar-warmer" in line]
    assert (done.returncode, said) == (0, [])
