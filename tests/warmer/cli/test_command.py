"""The command as a whole: every error is one line, and Ctrl-C ends it at any moment."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from click.testing import CliRunner

from tests.support.cli_parts import COMMAND, call, fail
from tests.support.running import ROOT
from warmer.cli.group import group
from warmer.settings import Settings
from warmer.sources import FOLDER

AWAY = "Error: Redis is away ("


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ("--wrong", "--wrong"),
        ("nope", "nope"),
        ("run --wrong", "--wrong"),
        ("diagnose more", "more"),
        ("diagnose --jsn", "--jsn"),
        ("warm", "--from-file"),
        ("warm --from-file", "--from-file"),
        ("warm --from-file /nonexistent/users.csv", "--from-file"),
        ("warm --json x", "id"),
        ("warm 42 --from-file /dev/null", "--from-file"),
        ("refresh", "--from-file"),
        ("refresh 42 x", "x"),
        ("refresh 42 --from-file /dev/null", "--from-file"),
        ("forget", "ID"),
        ("forget --yes 42 x y", "x, y"),
        ("purge", "--all"),
        ("purge --yes x", "x"),
        ("diagnose --partners", "--partners"),
        ("diagnose --partners x", "--partners"),
        ("diagnose --json --partners 0", "--partners"),
        ("diagnose --partners 101", "--partners"),
    ],
)
def test_a_wrong_argument_causes_one_line_with_its_field(words: str, field: str) -> None:
    status, line = fail(*words.split())
    assert status == 2
    assert line.startswith("Error: ")
    assert field in line


def test_an_argument_with_a_line_break_causes_one_line() -> None:
    assert fail("diagnose", "--partners", "1\n2")[0] == 2
    assert fail("--wrong\n")[0] == 2


@pytest.mark.parametrize("words", ["", "--help", "warm --help", "--version"])
def test_help_is_not_an_error(words: str) -> None:
    assert "avatar-warmer" in (CliRunner().invoke(group, words.split(), prog_name="avatar-warmer").output)


@pytest.mark.usefixtures("impatient")
def test_an_unreachable_redis_causes_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "unix:///nonexistent/redis.sock")
    for words in ("forget --yes 42", "purge 42", "export"):
        status, line = fail(*words.split())
        assert (status, line[: len(AWAY)]) == (1, AWAY), words


def test_a_wrong_setting_causes_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "ftp://x")
    monkeypatch.setenv("PHOTO_TTL", "soon")
    status, line = fail("export")
    assert status == 1
    assert "REDIS_URL" in line
    assert "PHOTO_TTL" in line


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A current folder without a service, and an environment without its Redis."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REDIS_URL")
    monkeypatch.delenv("DATA_DIR")
    return tmp_path


def test_without_a_service_the_error_says_where_the_settings_were_looked_for(elsewhere: Path) -> None:
    for words in ("export", "forget 42", "diagnose", "init-data --user 42"):
        line = fail(*words.split())[1]
        looked = f"looked in the environment, {elsewhere / '.env'} and {elsewhere / 'data' / 'running.env'}"
        assert line.startswith(f"Error: REDIS_URL: is missing ({looked})"), words


@pytest.mark.parametrize("words", ["web:create_app()", "--factory web.server.granian:create_app", "-A warmer worker"])
def test_the_error_names_the_folder_where_a_service_of_this_user_runs(elsewhere: Path, words: str) -> None:
    code = "import time; time.sleep(600)"
    command = [sys.executable, "-c", code, *words.split()]
    with subprocess.Popen(command, env={**os.environ, FOLDER: str(elsewhere / "service")}) as process:
        try:
            line = fail("export")[1]
        finally:
            process.kill()
    assert str(elsewhere / "service") in line.partition("; a service runs in ")[2]
    assert line.endswith(": type the command there")


@pytest.mark.usefixtures("elsewhere")
def test_the_error_names_the_file_with_the_settings_of_systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = tmp_path / "avatar-warmer.env"
    settings.touch()
    monkeypatch.setattr("psutil.process_iter", lambda: iter(()))  # other services run on this machine
    monkeypatch.setattr("warmer.cli.running_services.SYSTEMD_SETTINGS", settings)
    assert f"; the settings of systemd are in {settings}: " in fail("export")[1]


class OfAnotherUser(psutil.Process):
    """This process, as if another user ran the web tier in it."""

    def cmdline(self) -> list[str]:
        return ["gunicorn", "web:create_app()"]

    def uids(self) -> Any:
        return SimpleNamespace(real=os.getuid() + 1)

    def username(self) -> str:
        return "avatars"


@pytest.mark.usefixtures("elsewhere")
def test_the_error_names_another_user_who_runs_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.process_iter", lambda: iter([OfAnotherUser()]))
    assert "; a service of avatars runs here: " in fail("export")[1]


@pytest.mark.parametrize("place", ["deploy/compose.yaml", "compose.yaml"])
def test_in_the_folder_of_a_compose_installation_the_error_says_what_to_type(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr("psutil.process_iter", lambda: iter(()))
    (elsewhere / "deploy").mkdir()
    shutil.copy(ROOT / "deploy" / "compose.yaml", elsewhere / place)
    assert "compose" not in fail("export")[1]
    (elsewhere / ".env").write_text("TELEGRAM_BOT_TOKEN=1:token\n")
    line = fail("export")[1]
    assert line.endswith(f"; under compose, type: docker compose -f {place} exec web avatar-warmer …")


def test_on_a_terminal_a_command_names_the_bot_that_its_settings_choose(settings: Settings) -> None:
    reader, terminal = os.openpty()
    os.set_blocking(reader, False)  # a command that says nothing fails the test
    command = [sys.executable, "-c", "from warmer.cli import main; main()", "export"]
    try:
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=terminal, check=True)
        assert os.read(reader, 1000) == f"Bot {settings.bot_id}.\r\n".encode()
    finally:
        os.close(terminal)
        os.close(reader)


@pytest.mark.usefixtures("redis")
def test_a_command_names_the_bot_that_a_file_of_the_folder_chooses(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(f"TELEGRAM_BOT_TOKEN={os.environ['TELEGRAM_BOT_TOKEN']}\n")
    assert call("export").stderr == ""
    monkeypatch.delenv("TELEGRAM_BOT_TOKEN")
    monkeypatch.setenv(FOLDER, str(tmp_path))
    assert call("export").stderr == f"Bot {settings.bot_id}.\n"


def test_ctrl_c_during_the_imports_prints_one_line() -> None:
    command = [sys.executable, "-X", "importtime", str(COMMAND), "warm", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        while " click." not in (line := process.stderr.readline()):
            assert line, "click was never imported"
        process.send_signal(signal.SIGINT)
        said = [line for line in process.stderr if not line.startswith("import time:")]
    assert (process.returncode, said) == (130, ["Interrupted.\n"])


def test_the_command_prints_utf_8_in_any_locale() -> None:
    code = "from warmer.cli import main\ntry: main(['--version'])\nfinally: print('Ann \u0416')"
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    told = subprocess.run([sys.executable, "-c", code], env=environ, cwd=ROOT, capture_output=True, check=True)
    assert told.stdout.decode().endswith("Ann Ж\n")
