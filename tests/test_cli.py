"""The command against the real Redis and a real worker."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from faketelegram import FakeTelegram
from tests.conftest import next_id
from tests.running import Service
from warmer.cli.group import group
from warmer.heartbeat import Heartbeat
from warmer.wiring import Workshop

COMMAND = Path(sys.executable).parent / "avatar-warmer"


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmer.cli.common.PROJECT", Path("/nonexistent"))  # a `.env` of the clone is not the tests'


@pytest.fixture
def live_worker(worker: Any, shop: Workshop) -> Any:
    """A worker that says that it is there."""
    Heartbeat("w", shop.redis, shop.keys, shop.telegram, shop.budget).beat()
    return worker


def call(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(group, arguments, input=given)


def answer(*arguments: str, given: str = "") -> dict[str, Any]:
    result = call(*arguments, given=given)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_one_bad_line_is_named_and_nothing_is_done(shop: Workshop) -> None:
    result = call("warm", "-", given="id,name\n42,Ann\nx,Bob\n")
    assert result.exit_code == 2
    assert "line 3: id: 'x' is no id" in result.stderr
    assert shop.redis.dbsize() == 0


def test_named_rows_are_registered_in_their_order(shop: Workshop) -> None:
    first, second = next_id(), next_id()
    answer("warm", "--no-wait", "--json", "-", given=f"name,id\nAnn,{first}\nBob,{second}\n")
    assert [partner.name for partner in shop.partners.list_recent(5)] == ["Bob", "Ann"]


@pytest.mark.usefixtures("live_worker")
def test_who_has_no_photo_is_counted_and_the_command_ends() -> None:
    assert answer("warm", "--json", str(next_id()))["none"] == 1


@pytest.mark.usefixtures("live_worker")
def test_a_picture_is_followed_until_it_is_there(telegram: FakeTelegram) -> None:
    user_id = next_id()
    telegram.world.add_user(user_id, "Ann")
    assert answer("warm", "--json", str(user_id))["ready"] == 1


def test_forgetting_asks_first(shop: Workshop) -> None:
    shop.partners.register(42, "Ann", None)
    assert call("forget", "42", given="n\n").exit_code == 1
    assert shop.partners.get(42)
    assert answer("forget", "--yes", "--json", "42")["forgotten"] == [42]
    assert shop.partners.get(42) is None


def test_status_counts_the_queues(shop: Workshop) -> None:
    assert answer("status", "--json")["queues"] == {"tick": 0, "hot": 0, "warm": 0, "rewarm": 0}


def test_a_redis_that_is_away_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "unix:///nonexistent/redis.sock")
    result = call("status")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert call("diagnose").exit_code == 2


def test_the_installed_command_asks_a_running_service(service: Service, tmp_path: Path) -> None:
    done = subprocess.run(
        [COMMAND, "status", "--json"], cwd=tmp_path, env=service.environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["workers"]


def test_without_a_worker_nobody_waits(shop: Workshop) -> None:
    result = call("warm", str(next_id()))
    assert (result.exit_code, "no worker is alive" in result.stderr) == (1, True)


def test_a_file_that_is_no_csv_is_one_line() -> None:
    result = call("warm", "-", given='42,"' + "x" * 200_000)
    assert result.exit_code == 2
    assert "the file is not CSV" in result.stderr


def test_a_name_is_shown_as_it_is_whatever_it_holds(shop: Workshop) -> None:
    shop.partners.register(next_id(), "Ann [/bold]", None)
    result = call("diagnose")
    assert result.exit_code in (0, 1)
    assert "[/bold]" in result.stdout
