"""`avatar-warmer diagnose`"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import next_id
from tests.support.cli_parts import call, fail
from tests.support.redis_nodes import RedisServer
from tests.support.running import ROOT
from warmer.keys import Subject
from warmer.settings import Settings
from warmer.wiring import WorkerContext

pytest_plugins = ["tests.support.cli_fixtures"]
pytestmark = pytest.mark.usefixtures("at_home")


@pytest.mark.usefixtures("impatient")
def test_without_redis_diagnose_fails_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "unix:///nonexistent/redis.sock")
    assert fail("diagnose")[0] == 2


def test_a_name_with_markup_is_printed_unchanged(context: WorkerContext) -> None:
    context.people.register(user_id := next_id(), "Ann [/bold]", None)
    context.redis.set(context.keys.unavailable(Subject.of_person(user_id)), "none")
    result = call("diagnose")
    assert result.exit_code in (0, 1)
    assert "[/bold]" in result.stdout


def test_the_script_runs_the_same_command() -> None:
    command: list[Any] = [sys.executable, ROOT / "scripts" / "diagnose_photos.py", "--partners", "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "--partners" in done.stderr


def test_a_right_that_redis_denies_is_named_and_the_other_checks_are_left_out(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RedisServer(tmp_path) as server:
        rights = [f"~v2:{settings.bot_id}:*", "resetchannels", "+@all", "-eval"]
        server.client.execute_command("ACL", "SETUSER", "default", "reset", "on", "nopass", *rights)
        monkeypatch.setenv("REDIS_URL", server.url)
        result = call("diagnose", "--json")
    said = json.loads(result.stdout)
    assert (result.exit_code, said["ok"], said["now"]) == (1, False, {})
    answers = {check["question"]: check["answer"] for check in said["checks"]}
    assert answers["Does Redis answer, and grant every right?"] == f"denied: +eval &v2:{settings.bot_id}:*"
