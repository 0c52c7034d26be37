"""What workers count."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from warmer.measures import count_call, timed


def get_sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


def test_a_call_is_counted_with_its_outcome_and_its_duration() -> None:
    calls = get_sample("avatar_upstream_calls_total", method="getTest", outcome="200")
    seconds = get_sample("avatar_upstream_seconds_sum", method="getTest")
    count_call("getTest", "200", 0.25)
    assert get_sample("avatar_upstream_calls_total", method="getTest", outcome="200") == calls + 1
    assert get_sample("avatar_upstream_seconds_sum", method="getTest") == pytest.approx(seconds + 0.25)


@pytest.mark.parametrize(("outcome", "pauses"), [("429", 1), ("200", 0), ("UpstreamFailed", 0)])
def test_a_429_is_a_pause(outcome: str, pauses: int) -> None:
    before = get_sample("avatar_upstream_pauses_total")
    count_call("getTest", outcome, 0.1)
    assert get_sample("avatar_upstream_pauses_total") == before + pauses


def test_a_timed_step_gives_what_it_gave_before() -> None:
    before = get_sample("avatar_warm_step_seconds_count", step="test")
    assert timed("test", lambda number, *, more: number + more)(1, more=2) == 3
    assert get_sample("avatar_warm_step_seconds_count", step="test") == before + 1


def test_a_step_that_fails_is_timed_too() -> None:
    def fail() -> None:
        raise KeyError

    before = get_sample("avatar_warm_step_seconds_count", step="test")
    with pytest.raises(KeyError):
        timed("test", fail)()
    assert get_sample("avatar_warm_step_seconds_count", step="test") == before + 1
