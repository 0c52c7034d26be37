"""The workers' counters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from prometheus_client import REGISTRY
from redis import Redis

from warmer.keys import Keys
from warmer.observe.metrics import count_call, count_warming, time_each
from warmer.state.stats import MinuteStats, sum_minutes


def get_sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


@pytest.fixture
def stats(redis: Redis) -> Iterator[MinuteStats]:
    with closing(MinuteStats(redis, Keys("measures"))) as stats:
        yield stats


def sum_up(stats: MinuteStats) -> dict[str, int]:
    stats.flush()
    return sum_minutes(stats.redis, stats.keys, 2)


def test_a_call_is_counted_with_outcome_and_duration(stats: MinuteStats) -> None:
    calls = get_sample("avatar_upstream_calls_total", method="getTest", outcome="200")
    seconds = get_sample("avatar_upstream_seconds_sum", method="getTest")
    count_call(stats, "getTest", "200", 0.25)
    assert get_sample("avatar_upstream_calls_total", method="getTest", outcome="200") == calls + 1
    assert get_sample("avatar_upstream_seconds_sum", method="getTest") == pytest.approx(seconds + 0.25)


@pytest.mark.parametrize(("outcome", "pauses"), [("429", 1), ("200", 0), ("UpstreamFailed", 0)])
def test_a_429_counts_as_a_pause(stats: MinuteStats, outcome: str, pauses: int) -> None:
    before = get_sample("avatar_upstream_pauses_total")
    count_call(stats, "getTest", outcome, 0.1)
    assert get_sample("avatar_upstream_pauses_total") == before + pauses


@pytest.mark.parametrize(
    ("outcome", "counted"),
    [
        ("200", {"calls": 1}),
        ("400", {"calls": 1}),
        ("429", {"calls": 1, "pauses": 1}),
        ("401", {"calls": 1, "failed_calls": 1}),
        ("502", {"calls": 1, "failed_calls": 1}),
        ("DeadlineExceeded", {"calls": 1, "failed_calls": 1}),
    ],
)
def test_a_call_is_counted_in_its_minute(stats: MinuteStats, outcome: str, counted: dict[str, int]) -> None:
    count_call(stats, "getTest", outcome, 0.1)
    assert sum_up(stats) == counted


@pytest.mark.parametrize(("kind", "warmings"), [("done", 1), ("unavailable", 1), ("skipped", 0)])
def test_a_job_that_had_something_to_do_is_a_warming(stats: MinuteStats, kind: str, warmings: int) -> None:
    before = get_sample("avatar_warmings_total", lane="warm", outcome=kind)
    count_warming(stats, "warm", kind, 0.1)
    assert get_sample("avatar_warmings_total", lane="warm", outcome=kind) == before + 1
    assert sum_up(stats).get("warmings", 0) == warmings


def test_each_result_that_a_step_yields_is_timed_without_the_time_of_its_consumer() -> None:
    before = get_sample("avatar_warm_step_seconds_count", step="test")
    seen = []
    for thing in time_each("test", iter("ab")):
        seen.append(thing)
        assert get_sample("avatar_warm_step_seconds_count", step="test") == before + len(seen)
    assert seen == ["a", "b"]
    assert get_sample("avatar_warm_step_seconds_count", step="test") == before + 2
