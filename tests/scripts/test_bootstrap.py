"""How the environment is made: by scripts/bootstrap.py, with interpreters and a pip that are stubs."""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

import interpreters
import steps
from environment import Environment, Failed
from tests.conftest import wait_until
from tests.support.stub_machine import SCRIPTS, Machine

pytest_plugins = ["tests.support.machine_fixtures"]

READ_BY_OLD_PYTHONS = ("bootstrap.py", "environment.py", "interpreters.py", "steps.py")


@pytest.mark.parametrize("name", READ_BY_OLD_PYTHONS)
def test_an_old_python_can_read_the_file(name: str) -> None:
    ast.parse((SCRIPTS / name).read_text(), feature_version=(3, 6))


def test_a_python_that_fails_to_make_an_environment_gives_way(machine: Machine) -> None:
    machine.put("3 14", venv="exit 1")
    machine.put("3 12")
    machine.environment().make()
    assert machine.environment().is_ready()


def test_the_second_start_installs_nothing(machine: Machine) -> None:
    machine.put("3 14")
    machine.environment().make()
    assert machine.environment().is_ready()
    assert machine.asked("--require-hashes") == 1


def test_the_environment_of_the_tests_serves_for_running_and_stays_so(machine: Machine) -> None:
    machine.put("3 14")
    machine.environment("test").make()
    assert machine.environment().is_ready()
    (machine.project / "setup.cfg").write_text("[options]\n")
    machine.environment().make()
    assert machine.environment("test").is_ready()


def test_a_changed_project_is_installed_into_the_environment_that_is_there(machine: Machine) -> None:
    machine.put("3 14")
    machine.environment().make()
    (machine.project / "setup.cfg").write_text("[options]\n")
    assert not machine.environment().is_ready()
    machine.environment().make()
    assert (machine.asked("venv"), machine.asked("--require-hashes")) == (1, 2)


@pytest.mark.parametrize(
    ("extras", "locks"),
    [((), ["run"]), (("test",), ["test"]), (("granian",), ["granian"]), (("test", "granian"), ["granian", "test"])],
)
def test_packages_come_from_the_locks_and_the_project_alone(
    machine: Machine, extras: tuple[str, ...], locks: list[str]
) -> None:
    machine.put("3 14")
    machine.environment(*extras).make()
    files = " ".join(f"--requirement=requirements/{name}.lock" for name in locks)
    packages, project = machine.installed()
    assert packages == f"--require-hashes --only-binary :all: --no-deps {files}"
    assert project == "--no-deps --no-build-isolation -e ."


def test_uv_installs_the_same_where_the_environment_has_no_pip(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.put("3 14", venv='mkdir -p "$3/bin"; cp "$0" "$3/bin/python"')
    uv = machine.put("3 14", at=machine.home / "uv")
    monkeypatch.setattr(shutil, "which", lambda _: uv)
    machine.environment().make()
    python = f"--python {machine.project}/.venv/bin/python"
    packages, project = machine.installed()
    assert packages == f"{python} --require-hashes --only-binary :all: --no-deps --requirement=requirements/run.lock"
    assert project == f"{python} --no-deps --no-build-isolation -e ."


@pytest.mark.parametrize("name", ["run", "test"])
def test_a_changed_lock_is_installed_anew(machine: Machine, name: str) -> None:
    machine.put("3 14")
    machine.environment("test").make()
    (machine.project / "requirements" / f"{name}.lock").write_text("flask==3.1.3\n")
    assert not machine.environment().is_ready()
    machine.environment().make()
    assert machine.environment("test").is_ready()
    assert machine.asked("--require-hashes") == 2


@pytest.mark.parametrize(("failing", "holds"), [("--require-hashes", True), ("--no-build-isolation", False)])
def test_an_environment_in_use_is_trusted_after_a_failure_only_if_nothing_was_installed(
    machine: Machine, failing: str, holds: bool
) -> None:
    machine.put("3 14")
    machine.environment().make()
    lock = machine.project / "requirements" / "run.lock"
    lock.write_text("flask==3.1.3\n")
    machine.put("3 14", at=machine.project / ".venv/bin/python", pip=f'case "$*" in *{failing}*) exit 1; esac')
    with pytest.raises(Failed):
        machine.environment().make()
    lock.write_text("")
    assert machine.environment().is_ready() is holds


def test_an_environment_without_a_stamp_is_made_anew(machine: Machine) -> None:
    machine.put("3 14")
    rest = machine.project / ".venv" / "half-made"
    rest.mkdir(parents=True)
    machine.environment().make()
    assert machine.environment().is_ready()
    assert not rest.exists()


def test_a_moved_project_gets_a_new_environment(machine: Machine) -> None:
    machine.put("3 14")
    machine.environment().make()
    moved = machine.project.rename(machine.project.with_name("elsewhere"))
    Environment(moved, set()).make()
    assert machine.asked("venv") == 2


def test_a_failed_install_leaves_nothing_and_says_its_last_lines(machine: Machine) -> None:
    machine.put("3 14", pip="echo no network; exit 1")
    with pytest.raises(Failed, match="no network"):
        machine.environment().make()
    assert not (machine.project / ".venv").exists()


def test_without_any_python_one_line_says_what_to_install(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreters, "find", list)
    with pytest.raises(Failed, match=r"^no Python .* apt install python3-venv\)$"):
        machine.environment().make()


def test_long_steps_say_that_they_go_on(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "HEARTBEAT", 0)
    assert steps.run(["sleep", "0.2"], "Installing packages") == (0, "")
    assert re.match(r"Installing packages… \d+ s\n", capfd.readouterr().out)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_install_leaves_nothing(machine: Machine, number: int) -> None:
    machine.put("3 14", pip="echo $$ > pid; exec sleep 60")
    start = machine.bootstrap()
    pid = number_in(machine.project / "pid")
    start.send_signal(number)
    output = start.communicate()[0]
    assert start.returncode == 130, output
    assert not (machine.project / ".venv").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_start_beside_another_waits_and_uses_its_environment(machine: Machine) -> None:
    machine.put("3 14", pip="echo $$ > pid; until [ -e go ]; do sleep 0.1; done")
    first = machine.bootstrap()
    number_in(machine.project / "pid")
    second = machine.bootstrap()
    assert second.stdout
    assert second.stdout.readline().startswith("Waiting for another start")
    (machine.project / "go").touch()
    for start in (first, second):
        assert start.communicate()[0].endswith("ran scripts/serve.py --now\n")
    assert machine.asked("--require-hashes") == 1


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("run", "scripts/serve.py x"),
        ("test", "--extra test -m pytest x"),
        ("bench", "--extra granian scripts/benchmark.py x"),
    ],
)
def test_the_scripts_find_their_project_through_a_symlink(machine: Machine, name: str, rest: str) -> None:
    (machine.project / "scripts").mkdir()
    for file in (name, "find_python.sh"):
        shutil.copy(SCRIPTS / file, machine.project / "scripts")
    link = machine.home / name
    link.symlink_to(machine.project / "scripts" / name)
    machine.put("3 6", at=machine.bin / "python3")
    answer = subprocess.run([link, "x"], cwd="/", capture_output=True, text=True, check=True)
    assert answer.stdout == f"ran scripts/bootstrap.py {rest}\n"


def number_in(file: Path) -> int:
    return int(wait_until(lambda: file.exists() and file.read_text().strip()))


def test_the_loops_of_a_busy_run_end_with_it(machine: Machine) -> None:
    (machine.project / "scripts").mkdir()
    for file in ("test", "find_python.sh"):
        shutil.copy(SCRIPTS / file, machine.project / "scripts")
    machine.put("3 6", at=machine.bin / "python3")
    script = str(machine.project / "scripts" / "test")
    with (machine.home / "said").open("w+") as said:  # a loop would hold a pipe open
        subprocess.run([script, "busy", "x"], stdout=said, check=True)
        assert (said.seek(0), said.read())[1] == "ran scripts/bootstrap.py --extra test -m pytest x\n"
    wait_until(lambda: not any(script in (one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])))
