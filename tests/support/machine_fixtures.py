"""The fixture of the tests of scripts/bootstrap.py."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import interpreters
from tests.support.stub_machine import Machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(machine.bin))
    monkeypatch.setenv("HOME", str(machine.home))
    monkeypatch.delenv("PYENV_ROOT", raising=False)
    monkeypatch.setattr(sys, "executable", machine.put("3 6", at=machine.bin / "python3"))
    monkeypatch.setattr(interpreters, "FOLDERS", ())
    monkeypatch.setattr(shutil, "which", lambda _: None)  # no uv
    return machine
