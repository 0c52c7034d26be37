"""The Telegram budget: one token bucket for all workers, with lanes and a common pause."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from redis import Redis

from tests.support.clock import Clock
from warmer.deadline import Deadline, JobContext
from warmer.errors import BotTrouble, Paused, Postponed, TokenRejected, Transient
from warmer.keys import Keys, Lane
from warmer.state.budget import Budget

LANES: tuple[Lane, ...] = ("hot", "warm", "rewarm")
Open = Callable[[float], Budget]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def at(redis: Redis, keys: Keys, clock: Clock) -> Open:
    """Returns the budget at a rate."""
    return lambda rate: Budget(redis, keys, rate, clock=clock, sleep=clock.sleep)


def impatient(lane: Lane = "hot") -> JobContext:
    return JobContext.start(lane, 0)


def is_granted(budget: Budget, lane: Lane = "hot") -> bool:
    try:
        budget.take(impatient(lane))
    except Postponed:
        return False
    return True


def count_granted(budget: Budget, lane: Lane = "hot") -> int:
    count = 0
    while is_granted(budget, lane):
        count += 1
    return count


def set_bucket(budget: Budget, tokens: float, seconds_ago: float, clock: Clock) -> None:
    """Set the bucket as it was some seconds ago."""
    budget.redis.hset(budget.key, mapping={"tokens": tokens, "at": f"{clock() - seconds_ago:.6f}"})


def tokens_of(budget: Budget) -> float:
    return float(budget.redis.hget(budget.key, "tokens") or 0)


def refuse(error: Transient) -> Callable[[Deadline], str]:
    def call(_: Deadline) -> str:
        raise error

    return call


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


# The pause


@pytest.mark.parametrize("lane", LANES)
def test_a_pause_applies_to_every_lane_and_no_thread_waits_for_its_end(at: Open, clock: Clock, lane: Lane) -> None:
    budget = at(10)
    budget.pause(5)
    with pytest.raises(Paused) as caught:
        budget.take(JobContext.start(lane, 10, clock=clock))
    assert clock.slept == []
    assert caught.value.retry_after == pytest.approx(5, abs=0.002)


def test_a_pause_ends(at: Open, clock: Clock) -> None:
    budget = at(10)
    budget.pause(5)
    clock.advance(4.9)
    assert budget.get_pause() == pytest.approx(0.1, abs=0.002)
    clock.advance(0.2)
    assert budget.get_pause() == 0
    assert is_granted(budget)


def test_a_pause_that_begins_while_a_job_waits_applies_to_it(at: Open, clock: Clock) -> None:
    budget = at(1)
    count_granted(budget)
    waiting = Budget(budget.redis, Keys("1"), 1, clock=clock, sleep=lambda _: budget.pause(5))
    waiting.key = budget.key
    with pytest.raises(Paused):
        waiting.take(JobContext.start("hot", 2, clock=clock))


@pytest.mark.parametrize("is_told_by_telegram", [True, False])
def test_a_worker_remembers_a_pause_that_redis_has_lost(
    at: Open, clock: Clock, redis: Redis, is_told_by_telegram: bool
) -> None:
    worker, other = at(10), at(10)
    (worker if is_told_by_telegram else other).pause(5)
    with pytest.raises(Paused):
        worker.take(impatient())
    redis.flushall()
    clock.advance(2)
    with pytest.raises(Paused) as caught:
        worker.take(impatient())
    assert caught.value.retry_after == pytest.approx(3, abs=0.002)
    assert at(10).get_pause() == pytest.approx(3, abs=0.002)  # other workers know it again
    clock.advance(3)
    assert is_granted(worker)


def test_repeated_requests_do_not_extend_a_pause(redis: Redis, keys: Keys) -> None:
    budget = Budget(redis, keys, 10)
    budget.pause(60)
    until = redis.hget(keys.budget, "paused_until")
    for _ in range(20):
        with pytest.raises(Paused):
            budget.take(impatient())
    assert redis.hget(keys.budget, "paused_until") == until


def test_a_shorter_pause_does_not_shorten_a_longer_one(at: Open) -> None:
    budget = at(10)
    for seconds in (5, 1, 3):
        budget.pause(seconds)
    assert budget.get_pause() == pytest.approx(5, abs=0.002)
    budget.pause(8)
    assert budget.get_pause() == pytest.approx(8, abs=0.002)


# The bot token


def test_a_refused_token_halts_every_call_until_resumed(at: Open) -> None:
    budget = at(10)
    with pytest.raises(TokenRejected):
        budget.spend(impatient(), "getFile", refuse(TokenRejected("401")))
    assert budget.is_halted()
    with pytest.raises(TokenRejected):
        budget.take(impatient())
    with pytest.raises(TokenRejected):
        budget.check_pause()
    budget.resume()
    assert is_granted(budget)
    assert not budget.is_halted()


@pytest.mark.parametrize("trouble", ["unauthorized", "logged_out"])
def test_a_halt_tells_every_worker_its_cause(at: Open, trouble: BotTrouble) -> None:
    with pytest.raises(TokenRejected):
        at(10).spend(impatient(), "getFile", refuse(TokenRejected("m", trouble=trouble)))
    with pytest.raises(TokenRejected) as caught:
        at(10).check_pause()
    assert caught.value.trouble == trouble


def test_a_halt_is_logged_as_critical(at: Open, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(TokenRejected):
        at(10).spend(impatient(), "getFile", refuse(TokenRejected("getFile: 401")))
    assert [record.levelname for record in caplog.records if record.name == "warmer.state.budget"] == ["CRITICAL"]


def test_a_call_gets_the_deadline_of_its_job(at: Open) -> None:
    job = impatient()
    assert at(10).spend(job, "getFile", lambda deadline: deadline) is job.deadline
