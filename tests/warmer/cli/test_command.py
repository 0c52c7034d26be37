"""The command as a whole: its errors are one line each, and Ctrl-C ends it at any moment."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from tests.support.cli_parts import COMMAND, fail
from warmer.cli.group import group

pytest_plugins = ["tests.support.cli_fixtures"]
pytestmark = pytest.mark.usefixtures("at_home")
AWAY = "Error: Redis is away ("


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ("--wrong", "--wrong"),
        ("nope", "nope"),
        ("run --wrong", "--wrong"),
        ("status more", "more"),
        ("status --jsn", "--jsn"),
        ("warm", "--from-file"),
        ("warm --from-file", "--from-file"),
        ("warm --from-file /nonexistent/users.csv", "--from-file"),
        ("warm --json x", "id"),
        ("warm 42 --from-file /dev/null", "--from-file"),
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
def test_what_is_asked_wrongly_is_one_line_with_the_field(words: str, field: str) -> None:
    status, line = fail(*words.split())
    assert status == 2
    assert line.startswith("Error: ")
    assert field in line


def test_an_argument_with_a_line_break_makes_one_line() -> None:
    assert fail("diagnose", "--partners", "1\n2")[0] == 2
    assert fail("--wrong\n")[0] == 2


@pytest.mark.parametrize("words", ["", "--help", "warm --help", "--version"])
def test_help_is_no_error_of_one_line(words: str) -> None:
    assert "avatar-warmer" in (CliRunner().invoke(group, words.split(), prog_name="avatar-warmer").output)


@pytest.mark.usefixtures("impatient")
def test_a_redis_that_is_away_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "unix:///nonexistent/redis.sock")
    for words in ("status", "status --json", "forget --yes 42", "purge 42", "export"):
        status, line = fail(*words.split())
        assert (status, line[: len(AWAY)]) == (1, AWAY), words


def test_a_setting_that_is_wrong_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "ftp://x")
    monkeypatch.setenv("PHOTO_TTL", "soon")
    status, line = fail("status")
    assert status == 1
    assert "REDIS_URL" in line
    assert "PHOTO_TTL" in line


def test_ctrl_c_while_it_is_loaded_is_one_line() -> None:
    command = [sys.executable, "-X", "importtime", str(COMMAND), "warm", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        while " click." not in (line := process.stderr.readline()):
            assert line, "it was never loaded"
        process.send_signal(signal.SIGINT)
        said = [line for line in process.stderr if not line.startswith("import time:")]
    assert (process.returncode, said) == (130, ["Interrupted.\n"])
