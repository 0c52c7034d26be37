"""The wheel, built and installed by itself, runs in an empty folder."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest
import requests

from tests.support.programs import give_up
from tests.support.running import REQUEST_SECONDS, ROOT, STOP_SECONDS, Service, find_key, wait_for_url
from web.pages.static_files import TYPES

VERSION = version("avatar-warmer")
LEFT_OUT = shutil.ignore_patterns(".[!e]*", ".env", "build", "data", "tests", "*.egg-info", "__pycache__")
LOCK = ("--require-hashes", "--only-binary", ":all:", "--no-deps", "-r", str(ROOT / "requirements" / "run.lock"))


def run_pip(python: str | Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run pip without a question; its output is kept for the message of a failure."""
    command = [python, "-I", "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the tree, with the installed setuptools."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "tree", ignore=LEFT_OUT)
    options = ("--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", folder)
    done = run_pip(sys.executable, "wheel", *options, folder / "tree")
    assert done.returncode == 0, done.stderr
    return folder / f"avatar_warmer-{VERSION}-py3-none-any.whl"


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment of its own, with the locked versions of what it needs."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-I", "-m", "venv", venv], check=True)
    if (done := run_pip(venv / "bin" / "python", "install", *LOCK)).returncode:
        give_up(f"no package index answers: {done.stderr[-500:]}")
    done = run_pip(venv / "bin" / "python", "install", "--no-index", wheel)  # the lock has all that the wheel asks for
    assert done.returncode == 0, done.stderr
    return venv / "bin" / "avatar-warmer"


@pytest.fixture
def demo_of_the_wheel(command: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Service]]:
    """Run the command in an empty folder, without a setting."""
    folder, log = tmp_path / "empty", tmp_path / "run.log"
    folder.mkdir()
    environment = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    environment["PATH"] = os.defpath
    with (
        log.open("wb") as out,
        subprocess.Popen([command, "run"], cwd=folder, env=environment, stdout=out, stderr=out) as runner,
    ):
        try:
            yield runner, Service(wait_for_url(runner, log), folder / "data", find_key(folder, {}), environment)
        finally:
            runner.terminate()
            runner.wait(STOP_SECONDS)


def test_the_wheel_alone_shows_24_pictures_in_an_empty_folder_and_ctrl_c_ends_everything(
    demo_of_the_wheel: tuple[subprocess.Popen[bytes], Service],
) -> None:
    runner, service = demo_of_the_wheel
    page = requests.get(service.page, timeout=REQUEST_SECONDS).text  # the key adds a sign-in
    assert "data-init-data" in page
    parts = re.findall(r'(?:src|href)="(?:\./)?(static/[^"?]+)', page)
    assert {service.get(f"/{part}").status_code for part in parts} == {200}
    partners = service.ask("GET", "/api/partner/recent?limit=100").json()["partners"]
    pictures = [service.get(partner["photo_url"]) for partner in partners]
    assert [picture.headers["Content-Type"] for picture in pictures] == ["image/webp"] * 24
    assert [path.name for path in service.data_dir.parent.iterdir()] == ["data"]
    everything = psutil.Process(runner.pid).children(recursive=True)
    assert str(ROOT) not in str([process.cmdline() for process in everything])
    runner.send_signal(signal.SIGINT)
    assert runner.wait(STOP_SECONDS) == 0
    assert [process for process in everything if process.is_running()] == []


def test_the_command_of_the_wheel_tells_its_version(command: Path, tmp_path: Path) -> None:
    told = subprocess.run([command, "--version"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert told == f"avatar-warmer, version {VERSION}\n"


def test_the_wheel_installs_three_packages_and_no_module(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        names = {name.partition("/")[0] for name in files.namelist()}
    assert names == {"avatar_warmer", "warmer", "web", f"avatar_warmer-{VERSION}.dist-info"}


def test_the_wheel_has_the_pages_that_the_service_shows(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        names = set(files.namelist())
    assert {f"avatar_warmer/docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= names
    assert "avatar_warmer/CHANGELOG.md" in names


def test_the_wheel_has_what_the_deployment_guide_copies_from_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        names = set(files.namelist())
    page = (ROOT / "docs" / "deployment.md").read_text("utf-8")
    copied = set(re.findall(r"(?<![\w/])files/((?:deploy|requirements)/[\w./-]+)", page)) - {"deploy/systemd/"}
    copied |= {f"deploy/systemd/{path.name}" for path in (ROOT / "deploy" / "systemd").iterdir()}
    assert {f"avatar_warmer/{name}" for name in copied | {"requirements/run.lock"}} <= names


def test_the_wheel_has_of_the_static_files_only_those_that_the_service_sends(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        names = [name for name in files.namelist() if name.startswith("web/static/")]
    sent = [path for path in (ROOT / "web" / "static").iterdir() if path.suffix in TYPES]
    assert sorted(names) == sorted(f"web/static/{path.name}" for path in sent)


def test_a_folder_named_like_the_files_of_the_wheel_hides_none_of_them(command: Path, tmp_path: Path) -> None:
    hiding = tmp_path / "avatar_warmer"  # such as a clone
    hiding.mkdir()
    (hiding / "celeryconfig.py").write_text("raise SystemExit('hidden')")
    code = "import warmer.celery; print(warmer.celery.app.conf.task_default_queue)"
    settings = {"TELEGRAM_BOT_TOKEN": "1:token", "REDIS_URL": "redis://127.0.0.1:1"}
    settings |= {"API_KEYS": "k" * 16, "URL_SIGNING_KEYS": "k" * 32}
    done = subprocess.run(
        [command.with_name("python"), "-c", code],
        cwd=tmp_path,
        env=settings,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "warm\n"


def test_the_command_of_the_wheel_prints_the_settings_and_says_where_it_looked_for_them(
    command: Path, tmp_path: Path
) -> None:
    environ = {"PATH": os.defpath}
    told = subprocess.run([command, "settings"], env=environ, capture_output=True, text=True, check=True).stdout
    assert told == (ROOT / ".env.example").read_text("utf-8")
    done = subprocess.run([command, "export"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, f"{tmp_path / '.env'} and " in done.stderr) == (1, True), done.stderr


def test_one_process_of_the_wheel_runs_with_the_settings_of_its_folder(command: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TELEGRAM_BOT_TOKEN=1:token\nREDIS_URL=redis://127.0.0.1:1\nHOT_MAX=many\n")
    environ = {"PATH": os.defpath, "API_KEYS": "k" * 16, "URL_SIGNING_KEYS": "k" * 32}
    done = subprocess.run(
        [command, "run", "web"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode != 0, "avatar-warmer: HOT_MAX: must be a whole number" in done.stderr) == (True, True)


def test_the_wheel_names_the_pages_of_the_project_and_the_pythons_that_it_runs_on(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        described = files.read(f"avatar_warmer-{VERSION}.dist-info/METADATA").decode()
    pages = re.findall(r"^Project-URL: (\w+), https://", described, re.MULTILINE)
    assert {"Documentation", "Changelog", "Issues", "Source"} <= set(pages)
    assert "Programming Language :: Python :: 3.11\n" in described
    assert "\nLicense-Expression: MIT\n" in described


def test_the_description_of_the_wheel_links_to_nothing_relative(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        described = files.read(f"avatar_warmer-{VERSION}.dist-info/METADATA").decode()
    links = re.findall(r"\]\(([^)]+)\)", described)
    assert any(link.endswith(".webp") for link in links)
    assert [link for link in links if not link.startswith("https://")] == []
