"""The figures of `avatar-warmer diagnose`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.cli_parts import call, send_heartbeat
from warmer.wiring import WorkerContext

pytest_plugins = ["tests.support.cli_fixtures"]
pytestmark = pytest.mark.usefixtures("at_home")


def read_now() -> Any:
    """The figures in the one object that diagnose prints."""
    return json.loads(call("diagnose", "--json").stdout)["now"]


def test_diagnose_counts_the_queues_and_names_the_workers(context: WorkerContext) -> None:
    context.publisher.publish("A" * 24, "warm")
    send_heartbeat(context)
    now = read_now()
    assert now["queues"] == {"tick": 0, "hot": 0, "warm": 1, "rewarm": 0}
    assert (now["workers"], now["bot"], now["due"], now["listed_partners"]) == (["w"], ["ok"], 1, 0)
    assert (now["pause_seconds"], now["halted"], now["last_24_hours"]["requests"]) == (0, False, 0)


def test_memory_is_in_bytes_as_json_and_readable_in_the_table(context: WorkerContext) -> None:
    context.redis.config_set("maxmemory", 200_000_000)
    try:
        assert read_now()["redis"]["maxmemory"] == 200_000_000
        assert "maxmemory 200.0 MB" in " ".join(call("diagnose").stdout.split())
    finally:
        context.redis.config_set("maxmemory", 0)


@pytest.mark.usefixtures("context")
def test_unknown_figures_are_shown_as_unknown() -> None:
    now = read_now()
    assert (now["bot"], now["last_hour"]["hit_rate"]) == (["unknown"], None)


def test_an_unreachable_broker_is_reported(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise ConnectionError

    monkeypatch.setattr("warmer.broker.publish.count_waiting", fail)
    assert read_now()["queues"] is None
    assert "queues" in call("diagnose").stdout
