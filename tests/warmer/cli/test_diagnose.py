"""`avatar-warmer diagnose`"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import next_id
from tests.support.cli_parts import call, fail
from tests.support.running import ROOT
from warmer.keys import Subject
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
