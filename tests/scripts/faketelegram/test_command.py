"""The command that starts the fake."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from faketelegram import FAULTS, FakeTelegram, FieldError
from faketelegram.__main__ import main
from faketelegram.users import load
from tests.scripts.faketelegram.calling import PATIENCE
from tests.support.running import ROOT


def command(*switches: str) -> subprocess.Popen[str]:
    script = str(ROOT / "scripts" / "faketelegram")
    pipe, quiet = subprocess.PIPE, os.environ | {"PYTHONPATH": ""}
    return subprocess.Popen([sys.executable, script, *switches], stdout=pipe, stderr=pipe, text=True, env=quiet)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_prints_its_url_and_ends_cleanly(number: signal.Signals) -> None:
    with command("--port", "0", "--fault", "getMe=too-many-requests,times=1,retry_after=3") as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        answers = [requests.get(f"{url}/bot123456789:FAKE/getMe", timeout=PATIENCE).status_code for _ in range(2)]
        users = requests.get(f"{url}/_fake/users", timeout=PATIENCE).json()
        process.send_signal(number)
        rest, complaints = process.communicate(timeout=PATIENCE)
    assert (answers, len(users)) == ([429, 200], 24)
    assert (process.returncode, rest, complaints) == (0, "", "")


def test_the_command_lists_its_faults() -> None:
    with command("--list-faults") as process:
        listed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert [line.split()[0] for line in listed.splitlines()] == list(FAULTS)


def test_a_taken_port_gives_one_line_and_exit_status_1(fake: FakeTelegram) -> None:
    with command("--port", str(fake.port)) as process:
        _, complaints = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert complaints == f"faketelegram: cannot listen on {fake.url}: the port is taken\n"


@pytest.mark.parametrize(
    ("switches", "named"),
    [
        (["--port", "high"], "--port"),
        (["--token", "nonsense"], "token: "),
        (["--latency-ms", "-5"], "--latency-ms"),
        (["--fault", "getMe=nonsense"], "nonsense"),
        (["--fault", "getMe=late,seconds=soon"], "seconds"),
        (["--users", "nowhere.json"], "nowhere.json"),
        (["--colour", "blue"], "--colour"),
    ],
)
def test_a_bad_switch_gives_one_line_and_exit_status_2(
    switches: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(switches) == 2
    complaints = capsys.readouterr().err
    assert named in complaints
    assert complaints.count("\n") == 1


def test_a_bad_users_file_gives_one_line_that_names_the_field(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text('[{"id": 42, "first_name": "Ann"}, {"id": 43, "first_name": 7}]')
    with command("--users", str(tmp_path / "users.json")) as process:
        _, complaints = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert complaints == "faketelegram: users[1].first_name: must be a text, not 7\n"
    with pytest.raises(FieldError, match=r"users\[1\]\.first_name"):
        load(tmp_path / "users.json")
