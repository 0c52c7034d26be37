"""The command as a whole: every error is one line, and Ctrl-C ends it at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from tests.support.cli_parts import COMMAND, fail
from tests.support.running import ROOT
from warmer.cli.group import group

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
