"""Which Python makes the environment."""

from __future__ import annotations

import interpreters
from tests.support.stub_machine import Machine

pytest_plugins = ["tests.support.machine_fixtures"]


def test_an_old_python_in_front_gives_way_to_a_newer_one(machine: Machine) -> None:
    newer = machine.put("3 14")
    assert [python.program for python in interpreters.find()] == [newer]


def test_pyenvs_versions_are_found_behind_a_shim_that_fails(machine: Machine) -> None:
    shim = machine.bin / "python3.14"
    shim.write_text("#!/bin/sh\necho 'pyenv: python3.14: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    newer = machine.put("3 14", at=machine.home / ".pyenv/versions/3.14.0/bin/python")
    assert [python.program for python in interpreters.find()] == [newer]


def test_a_python_without_the_venv_module_gives_way_to_one_that_has_it(machine: Machine) -> None:
    machine.put("3 14", without_venv=1)
    other = machine.put("3 12")
    assert next(interpreters.find()).program == other


def test_a_version_without_known_wheels_is_the_last_choice(machine: Machine) -> None:
    machine.put("3 99", at=machine.bin / "python3")
    known = machine.put("3 12")
    assert next(interpreters.find()).program == known
