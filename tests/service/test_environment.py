"""How the scripts make their environment: scripts/setup/environment.sh in a small project with a real venv and pip."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.conftest import wait_until
from tests.support.programs import find_program
from tests.support.small_project import PYTHON, SmallProject


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    return SmallProject(tmp_path)


def test_the_first_start_installs_the_locked_packages_and_the_second_installs_nothing(
    project: SmallProject, tmp_path: Path
) -> None:
    project.put_stub("python3", version="3.9.2", too_old=1)
    project.put_python("python3.12")
    link = tmp_path / "run"
    link.symlink_to(project.folder / "scripts/run")
    printed, said = project.run(link)
    assert printed == f"version 1 in {project.venv} x\n"
    assert "Installing requirements/run.lock…" in said
    assert project.run() == (printed, "")


def test_a_changed_lock_is_installed_into_the_environment_and_a_failure_leaves_it_in_use(project: SmallProject) -> None:
    project.put_python()
    project.run()
    kept = project.venv / "kept"
    kept.touch()
    project.lock(2)
    assert project.run()[0].startswith("version 2 ")
    project.lock(3, is_there=False)
    assert "No matching distribution found for locked==3" in project.fail()
    project.lock(2)
    assert project.run() == (f"version 2 in {project.venv} x\n", "")
    assert kept.exists()


def test_an_incomplete_or_moved_environment_is_made_again(project: SmallProject) -> None:
    project.put_stub(make="mkdir .venv; touch .venv/half-made; echo $$ > pid; exec sleep 600")
    with project.start() as start:
        installer = psutil.Process(read_number(project.folder / "pid"))
        start.kill()
        installer.kill()  # both, as in a crash of the machine
    project.put_python()
    project.run()
    assert not (project.venv / "half-made").exists()
    moved = project.folder.rename(project.folder.with_name("elsewhere"))
    assert project.run(moved / "scripts/run")[0] == f"version 1 in {moved}/.venv x\n"


def test_a_linked_environment_keeps_its_files(project: SmallProject, tmp_path: Path) -> None:
    project.put_stub()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/kept").touch()
    project.venv.symlink_to(tmp_path / "other")
    project.fail()
    assert (tmp_path / "other/kept").exists()
    assert not project.venv.is_symlink()


def test_a_failed_install_leaves_nothing_and_shows_its_last_lines(project: SmallProject) -> None:
    project.put_stub(make="mkdir .venv; echo no room; exit 1")
    assert project.fail().splitlines() == [
        "Making .venv with Python 3.12.1…",
        "avatar-warmer: Making .venv with Python 3.12.1 failed; the last lines of .venv.log:",
        "no room",
    ]
    assert not project.venv.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_install_leaves_nothing(project: SmallProject, number: signal.Signals) -> None:
    project.put_stub(make="mkdir .venv; echo $$ > pid; exec sleep 600")
    start = project.start()
    installer = psutil.Process(read_number(project.folder / "pid"))
    start.send_signal(number)
    _, said = start.communicate()
    assert (start.returncode, said.splitlines()[-1]) == (130, "avatar-warmer: interrupted")
    assert not project.venv.exists()
    assert not installer.is_running()


def test_a_start_beside_another_waits_and_uses_the_same_environment(project: SmallProject) -> None:
    project.put_stub(make=f'echo $$ > pid; until [ -e go ]; do sleep 0.1; done; exec "{PYTHON}" "$@"')
    with project.start() as first, project.start() as second:
        read_number(project.folder / "pid")
        waiting = next(one for one in (first, second) if read_first_line(one).startswith("Waiting for another script"))
        (project.folder / "go").touch()
        said = {one: one.communicate() for one in (first, second)}
    assert {printed for printed, _ in said.values()} == {f"version 1 in {project.venv} x\n"}
    assert said[waiting][1] == ""


def test_a_too_old_python_causes_one_line_that_says_what_to_install(project: SmallProject) -> None:
    project.put_stub(version="3.9.2", too_old=1)
    assert project.fail() == (
        "avatar-warmer: needs Python 3.11 to 3.14, and python3 is Python 3.9.2 "
        "(Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python)\n"
    )


def test_a_missing_venv_module_causes_one_line_that_names_the_package(project: SmallProject) -> None:
    project.put_stub("python3", too_old=1)
    project.put_stub("python3.13", no_venv=1)
    assert project.fail() == (
        "avatar-warmer: python3.13 has no venv module (Debian, Ubuntu: apt install python3.13-venv)\n"
    )


def test_an_environment_of_another_user_causes_one_line_that_names_it(project: SmallProject) -> None:
    project.put_python()
    if os.geteuid() == 0:  # the administrator may read everything, unless that right is given up
        project.prefix = [find_program("setpriv"), "--bounding-set=-dac_override,-dac_read_search"]
    for name, mode in ((".venv", 0o000), (".venv", 0o500), (".venv.log", 0o400), (".", 0o500)):
        place = project.folder / name
        place.touch() if name.endswith("log") else place.mkdir(exist_ok=True)
        usual = place.stat().st_mode
        place.chmod(mode)
        said = project.fail()
        place.chmod(usual)
        assert re.fullmatch(rf"avatar-warmer: this user cannot read and write {re.escape(str(place))}: .*\n", said)


@pytest.mark.parametrize("name", ["a:b", 'a"b', "a$b", "a`b", "a\\b"])
def test_a_folder_whose_name_no_environment_can_have_causes_one_line(project: SmallProject, name: str) -> None:
    project.put_python()
    project.folder = project.folder.rename(project.folder.with_name(name))
    assert project.fail() == f'avatar-warmer: the path of this folder must hold none of : " $ ` \\ : {project.folder}\n'


def test_the_busy_loops_end_with_the_test_run(project: SmallProject, tmp_path: Path) -> None:
    project.pretend_to_have_pytest()
    script = str(project.folder / "scripts/test")
    with (tmp_path / "said").open("w+") as said:  # a loop would keep a pipe open
        subprocess.run([script, "busy", "x"], env=project.environ, stdout=said, check=True)
        assert (said.seek(0), said.read())[1] == "pytest ran x\n"
    wait_until(lambda: not any(script in (one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])))


def read_number(file: Path) -> int:
    return int(wait_until(lambda: file.exists() and file.read_text().strip()))


def read_first_line(start: subprocess.Popen[str]) -> str:
    assert start.stderr
    return start.stderr.readline()
