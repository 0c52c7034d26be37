"""`avatar-warmer status`"""

from __future__ import annotations

import pytest

from tests.support.cli_parts import answer, call
from warmer.wiring import WorkerContext

pytest_plugins = ["tests.support.cli_fixtures"]
pytestmark = pytest.mark.usefixtures("at_home")


def test_status_counts_the_queues(context: WorkerContext) -> None:
    context.publisher.publish("A" * 24, "warm")
    assert answer("status", "--json")["queues"] == {"tick": 0, "hot": 0, "warm": 1, "rewarm": 0}


def test_status_shows_memory_in_bytes_as_json_and_readable_in_the_table(context: WorkerContext) -> None:
    context.redis.config_set("maxmemory", 200_000_000)
    try:
        assert answer("status", "--json")["redis"]["maxmemory"] == 200_000_000
        assert "maxmemory 200.0 MB" in " ".join(call("status").stdout.split())
    finally:
        context.redis.config_set("maxmemory", 0)


@pytest.mark.usefixtures("context")
def test_unknown_figures_are_shown_as_unknown() -> None:
    figures = answer("status", "--json")
    assert (figures["bot"], figures["last_hour"]["hit_rate"]) == (["unknown"], None)


def test_status_reports_an_unreachable_broker(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise ConnectionError

    monkeypatch.setattr("warmer.broker.publish.count_waiting", fail)
    assert answer("status", "--json")["queues"] is None
    assert "queues" in call("status").stdout
