"""The Telegram budget: one token bucket for all workers, with lanes and a common pause."""

from __future__ import annotations

import random
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from redis import Redis

from tests.support.clock import Clock
from tests.warmer.state.conftest import LANES, Open, count_granted, impatient, is_granted
from warmer.deadline import JobContext
from warmer.errors import Postponed
from warmer.keys import Keys, Lane
from warmer.state.budget import Budget, Trouble, read_trouble


def set_bucket(budget: Budget, tokens: float, seconds_ago: float, clock: Clock) -> None:
    """Set the bucket as it was some seconds ago."""
    budget.redis.hset(budget.key, mapping={"tokens": tokens, "at": f"{clock() - seconds_ago:.6f}"})


def tokens_of(budget: Budget) -> float:
    return float(budget.redis.hget(budget.key, "tokens") or 0)


# The rate


def test_the_burst_is_a_quarter_of_a_second(at: Open) -> None:
    assert count_granted(at(12)) == 3


@pytest.mark.parametrize("rate", [1, 4, 7, 12, 100])
def test_any_second_has_at_most_the_rate_and_a_quarter(at: Open, clock: Clock, rate: int) -> None:
    budget, dice, sent = at(rate), random.Random(rate), []  # noqa: S311 - random arrivals, no secrets
    for _ in range(60 * rate):
        clock.advance(dice.choice((0, 0, 0, 0.01, dice.expovariate(rate))))
        arrived, lane = clock(), dice.choice(LANES)
        with suppress(Postponed):
            budget.take(JobContext.start(lane, 2, clock=clock))
            sent.append(clock())
        clock.now = arrived  # they arrive on their own, also while others wait
    sent.sort()
    busiest = max(bisect_right(sent, start + 1) - place for place, start in enumerate(sent))
    assert rate <= busiest <= max(1.25 * rate, rate + 1)


def test_at_one_per_second_the_next_token_takes_a_second_however_often_it_is_requested(at: Open, clock: Clock) -> None:
    budget = at(1)
    budget.take(impatient())
    for left in (1.0, 0.75, 0.5, 0.25):
        with pytest.raises(Postponed) as caught:
            budget.take(impatient())
        assert caught.value.retry_after == left
        clock.advance(0.25)
    assert is_granted(budget)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_below_one_per_second_the_bucket_collects_a_whole_token(at: Open, clock: Clock, rate: float) -> None:
    budget = at(rate)
    assert is_granted(budget)
    clock.advance(1 / rate - 0.1)
    assert not is_granted(budget)
    clock.advance(0.2)
    assert is_granted(budget)


@pytest.mark.parametrize("lane", LANES)
def test_at_one_per_second_every_lane_gets_tokens(at: Open, lane: Lane) -> None:
    assert is_granted(at(1), lane)


def test_at_100000_per_second_the_bucket_fills_at_that_rate(at: Open, clock: Clock) -> None:
    budget = at(100_000)
    set_bucket(budget, 0, 0.2, clock)
    budget.take(impatient())
    assert tokens_of(budget) == pytest.approx(19_999, abs=0.002)


def test_at_100000_per_second_50000_tokens_return_in_half_a_second(at: Open, clock: Clock) -> None:
    budget = at(100_000)
    set_bucket(budget, -50_000, 0, clock)
    with pytest.raises(Postponed) as caught:
        budget.take(impatient())
    assert caught.value.retry_after == pytest.approx(0.5, abs=0.002)


def test_many_workers_together_keep_the_rate(at: Open, clock: Clock) -> None:
    budget, granted = at(100), count_granted(at(100))
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):  # half a second
            clock.advance(0.05)
            granted += sum(pool.map(lambda _: count_granted(budget), range(8)))
    assert granted == 25 + 50


def test_a_full_bucket_does_not_overflow(at: Open, clock: Clock) -> None:
    budget = at(5)
    set_bucket(budget, 5, 3600, clock)
    assert count_granted(at(5)) == 1


def test_a_clock_set_back_removes_no_tokens(at: Open, clock: Clock) -> None:
    budget = at(5)
    set_bucket(budget, 5, -3600, clock)
    assert is_granted(budget)


def test_workers_share_the_clock_of_redis(redis: Redis, keys: Keys) -> None:
    before = redis.time()[0]
    Budget(redis, keys, 5).take(impatient())
    Budget(redis, keys, 5).pause(7)
    at, until = (float(value or 0) for value in redis.hmget(keys.budget, ["at", "paused_until"]))
    after = redis.time()[0] + 1
    assert before <= at <= after
    assert before + 7 <= until <= after + 7


def test_the_budget_key_is_never_evicted(at: Open, redis: Redis, keys: Keys) -> None:
    at(5).take(impatient())
    assert redis.ttl(keys.budget) == -1


# The lanes


@pytest.mark.parametrize(("lane", "granted"), [("hot", 12), ("warm", 12), ("rewarm", 8)])
def test_rewarm_leaves_part_of_the_burst_to_the_other_lanes(at: Open, lane: Lane, granted: int) -> None:
    assert count_granted(at(48), lane) == granted


def test_the_tokens_that_rewarm_leaves_go_to_the_other_lanes(at: Open) -> None:
    budget = at(48)
    assert [count_granted(budget, lane) for lane in ("rewarm", "hot")] == [8, 4]


def test_rewarm_gets_no_token_while_another_lane_waits_for_one(at: Open, clock: Clock) -> None:
    budget = at(12)
    for _ in range(8):
        now = clock()
        budget.take(JobContext.start("warm", 2, clock=clock))
        clock.now = now
    clock.advance(5 / 12)
    assert not is_granted(budget, "rewarm")


def test_warm_stops_waiting_before_hot_does(at: Open, clock: Clock) -> None:
    budget, now = at(12), clock()
    for _ in range(100):
        clock.now = now
        with suppress(Postponed):
            budget.take(JobContext.start("warm", 2, clock=clock))
    clock.now = now
    budget.take(JobContext.start("hot", 2, clock=clock))
    assert clock() - now == pytest.approx(1, abs=0.1)


def test_waiting_jobs_get_tokens_in_the_order_of_their_arrival(at: Open, clock: Clock) -> None:
    budget, now, sent = at(10), clock(), []
    for lane in ("hot", "warm", "hot", "warm", "hot"):
        clock.now = now
        budget.take(JobContext.start(lane, 2, clock=clock))
        sent.append(clock() - now)
    assert sent == [pytest.approx(seconds, abs=0.002) for seconds in (0, 0, 0.05, 0.15, 0.25)]


def test_hot_waits_for_a_token(at: Open, clock: Clock) -> None:
    budget = at(10)
    count_granted(budget)
    budget.take(JobContext.start("hot", 1, clock=clock))
    assert clock.slept == [pytest.approx(0.05, abs=0.002)]  # a burst of 2.5 tokens leaves half a token


def test_hot_does_not_wait_longer_than_its_patience(at: Open, clock: Clock) -> None:
    budget = at(1)
    count_granted(budget)
    with pytest.raises(Postponed):
        budget.take(JobContext.start("hot", 0.3, clock=clock))
    assert clock.slept == []


def test_rewarm_does_not_wait(at: Open, clock: Clock) -> None:
    budget = at(10)
    count_granted(budget)
    with pytest.raises(Postponed) as caught:
        budget.take(JobContext.start("rewarm", 10, clock=clock))
    assert clock.slept == []
    assert (caught.value.retry_after or 0) > 0.1


def test_trouble_says_what_is_ill_and_since_when(redis: Redis, keys: Keys) -> None:
    budget = Budget(redis, keys, 10)
    assert read_trouble(redis, keys) == Trouble()
    before = redis.time()[0]
    budget.begin_outage("getFile")
    after = redis.time()[0]
    budget.pause(60)
    trouble = read_trouble(redis, keys)
    assert (trouble.ill, trouble.halted_since) == (("getFile",), 0)
    assert before <= trouble.ill_since <= after
    assert 0 < trouble.pause_seconds <= 60


def test_trouble_shows_a_pause_no_longer_than_it_was_if_the_clock_is_set_back(redis: Redis, keys: Keys) -> None:
    Budget(redis, keys, 10, clock=lambda: redis.time()[0] + 600.0).pause(5)
    assert read_trouble(redis, keys).pause_seconds == pytest.approx(5, abs=0.002)
