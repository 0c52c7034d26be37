"""The systemd units: generated from the Procfile and accepted by systemd."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner import procfile
from tests.support.running import ROOT

UNITS = ROOT / "deploy" / "systemd"
COMMANDS = procfile.read(ROOT / "Procfile")


def read_all(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_units_are_generated_from_the_procfile(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "deploy" / "units.py", tmp_path], check=True)
    assert read_all(UNITS) == read_all(tmp_path)
    assert len(read_all(UNITS)) == len(COMMANDS) + 1


def test_each_unit_runs_its_line_of_the_procfile() -> None:
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


def test_percent_signs_are_escaped_in_the_units() -> None:
    assert "worker@%%h" in (UNITS / "avatar-warmer-worker.service").read_text()


def test_systemd_analyze_reports_nothing(tmp_path: Path) -> None:
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("no systemd on this machine")
    done = subprocess.run([analyze, "verify", *UNITS.iterdir()], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "avatar-warmer" in line]
    assert (done.returncode, said) == (0, [])
