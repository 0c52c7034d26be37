"""From minute buckets to the figures of the operators' page."""

from __future__ import annotations

from collections import Counter

import pytest

from warmer.state.stats import LATENCY_MS, count_latencies
from web.pages.history import STEP_MINUTES, add_up, find_percentile, split_steps, summarize

EMPTY: Counter[str] = Counter()


def test_counts_are_summed_and_samples_take_their_maximum() -> None:
    buckets = [
        Counter({"hits": 2, "due": 5, "late": 700, "queue:hot": 9}),
        Counter({"hits": 3, "due": 4, "late": 400, "queue:hot": 0}),
    ]
    assert add_up(buckets) == {"hits": 5, "due": 5, "late": 700, "queue:hot": 9}


def test_a_sampled_zero_differs_from_a_missing_sample() -> None:
    figures = summarize(add_up([Counter({"queue:hot": 0, "due": 0})]))
    assert (figures.queues, figures.due, figures.workers) == ({"hot": 0}, 0, None)


def test_the_last_step_ends_now_and_has_the_same_length() -> None:
    buckets = [Counter({"hits": 1}) for _ in range(25)]
    steps = list(split_steps(now=1014, buckets=buckets))  # from minute 990 on
    assert [(start, bucket["hits"]) for start, bucket in steps] == [(985, 5), (995, 10), (1005, 10)]


def test_the_first_step_may_be_shorter() -> None:
    steps = list(split_steps(now=1009, buckets=[Counter({"hits": 1}) for _ in range(13)]))
    assert [(start, bucket["hits"]) for start, bucket in steps] == [(990, 3), (1000, 10)]


def test_every_minute_counts_exactly_once() -> None:
    for now in range(5000, 5000 + STEP_MINUTES):
        steps = list(split_steps(now, [Counter({"hits": 1}) for _ in range(1440)]))
        assert sum(bucket["hits"] for _, bucket in steps) == 1440


def test_a_step_without_counts_is_empty() -> None:
    steps = list(split_steps(now=1019, buckets=[EMPTY] * 10 + [Counter({"hits": 1})] * 10))
    assert [bool(bucket) for _, bucket in steps] == [False, True]


def test_hit_rate_and_error_rate_follow_their_definitions() -> None:
    figures = summarize(Counter({"requests": 120, "hits": 90, "misses": 10, "not_found": 20, "errors": 3}))
    assert (figures.hit_rate, figures.error_rate) == (0.9, 0.025)


def test_without_requests_there_is_no_rate_and_no_latency() -> None:
    figures = summarize(Counter())
    assert (figures.hit_rate, figures.error_rate, figures.served.p50_ms, figures.served.p99_ms) == (None,) * 4


def test_unavailable_pictures_are_counted_by_cause() -> None:
    assert summarize(Counter({"unavailable:none": 2, "unavailable:too-big": 1})).unavailable == {
        "none": 2,
        "too-big": 1,
    }


def test_a_percentile_is_interpolated_within_its_bucket() -> None:
    numbers = [0] * len(LATENCY_MS)
    numbers[LATENCY_MS.index(10)] = 100
    assert find_percentile(numbers, 0.5) == 7.5  # between 5 and 10
    assert find_percentile(numbers, 1) == 10


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_percentile_lies_in_the_right_bucket(share: float) -> None:
    values = sorted((n * 7919 % 4999) / 1000 for n in range(1, 2000))  # seconds, spread to 5
    bucket = count_latencies("hit", values)
    found = find_percentile([bucket[f"hit_ms:{bound}"] for bound in LATENCY_MS], share)
    right = 1000 * values[int(share * len(values))]
    bound = next(bound for bound in LATENCY_MS if right <= bound)
    before = max((one for one in LATENCY_MS if one < bound), default=0)
    assert found
    assert before <= found <= bound


def test_cached_and_uncached_latencies_are_computed_separately_and_together() -> None:
    figures = summarize(count_latencies("hit", [0.001] * 98) + count_latencies("miss", [0.4] * 2))
    assert figures.cached.p99_ms == pytest.approx(1, abs=0.1)
    assert figures.uncached.p50_ms
    assert figures.uncached.p50_ms > 200
    assert figures.served.p99_ms
    assert figures.served.p99_ms > 200
    assert figures.served.p50_ms
    assert figures.served.p50_ms < 1
