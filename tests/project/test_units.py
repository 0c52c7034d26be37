"""The systemd units: generated from the Procfile and accepted by systemd."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner import procfile
from tests.support.running import ROOT

PROGRAM = "/opt/avatar-warmer/.venv/bin/avatar-warmer"
UNITS = ROOT / "deploy" / "systemd"
COMMANDS = procfile.read(ROOT / "Procfile")


def read_all(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_units_are_generated_from_the_procfile(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "deploy" / "units.py", tmp_path], check=True)
    assert read_all(UNITS) == read_all(tmp_path)
    others = {"avatar-warmer.target", "avatar-warmer-backup.service", "avatar-warmer-backup.timer"}
    assert set(read_all(UNITS)) == others | {f"avatar-warmer-{name}.service" for name in COMMANDS}


def test_each_unit_runs_its_line_of_the_procfile_by_its_name() -> None:
    started = {}
    for name in COMMANDS:
        text = (UNITS / f"avatar-warmer-{name}.service").read_text()
        started[name] = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)
    assert started == {name: [f"{PROGRAM} run {name}"] for name in COMMANDS}


def test_the_wrapper_runs_the_program_of_the_units_with_their_user_and_settings() -> None:
    wrapper, unit = (ROOT / "deploy" / "avatar-warmer").read_text(), (UNITS / "avatar-warmer-web.service").read_text()
    shared = ("EnvironmentFile", "WorkingDirectory", "Environment=DATA_DIR")
    lines = [line for line in unit.splitlines() if line.startswith(shared)]
    assert len(lines) == len(shared)
    assert [line for line in lines if f"-p {line}" not in wrapper] == []
    assert f"{PROGRAM} " in wrapper


def test_systemd_analyze_reports_nothing(tmp_path: Path) -> None:
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("no systemd on this machine")
    for name, text in read_all(UNITS).items():  # it wants the program to be there
        (tmp_path / name).write_text(text.replace(f"ExecStart={PROGRAM}", "ExecStart=/bin/true"))
    done = subprocess.run([analyze, "verify", *tmp_path.iterdir()], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "avatar-warmer" in line]
    assert (done.returncode, said) == (0, [])
