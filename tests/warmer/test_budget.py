"""May I call Telegram now? One token bucket for all workers, with lanes, and a common pause."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from warmer.budget import Budget
from warmer.deadline import Deadline, Errand
from warmer.errors import Paused, Postponed, TokenRejected, Transient
from warmer.keys import Keys, Lane

LANES: tuple[Lane, ...] = ("hot", "warm", "rewarm")
Open = Callable[[float], Budget]


@pytest.fixture
def at(redis: Redis, keys: Keys) -> Open:
    """The budget at a rate."""
    return lambda rate: Budget(redis, keys, rate)


def impatient(lane: Lane = "hot") -> Errand:
    return Errand.start(lane, 0)


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


def set_bucket(budget: Budget, tokens: float, seconds_ago: float) -> None:
    """As if the bucket had held so much so long ago."""
    seconds, micros = budget.redis.time()
    budget.redis.hset(budget.key, mapping={"tokens": tokens, "at": f"{seconds + micros / 1e6 - seconds_ago:.6f}"})


def tokens_of(budget: Budget) -> float:
    return float(budget.redis.hget(budget.key, "tokens") or 0)


def refuse(error: Transient) -> Callable[[Deadline], str]:
    def call(_: Deadline) -> str:
        raise error

    return call


# The rate


def test_the_burst_is_one_seconds_worth(at: Open) -> None:
    assert count_granted(at(12)) == 12


def test_at_one_a_second_the_next_token_takes_a_second(at: Open) -> None:
    budget = at(1)
    budget.take(impatient())
    with pytest.raises(Postponed) as caught:
        budget.take(impatient())
    assert caught.value.retry_after == pytest.approx(1, abs=0.05)


def test_at_one_a_second_looking_often_does_not_slow_it_down(at: Open) -> None:
    budget = at(1)
    budget.take(impatient())
    started = time.monotonic()
    while not is_granted(budget):
        assert time.monotonic() - started < 2
    assert time.monotonic() - started == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_below_one_a_second_a_whole_token_is_waited_for(at: Open, rate: float) -> None:
    budget = at(rate)
    assert is_granted(budget)
    set_bucket(budget, 0, 1 / rate - 0.2)
    assert not is_granted(budget)
    set_bucket(budget, 0, 1 / rate + 0.1)
    assert is_granted(budget)


@pytest.mark.parametrize("lane", LANES)
def test_at_one_a_second_every_lane_gets_on(at: Open, lane: Lane) -> None:
    assert is_granted(at(1), lane)


def test_at_100000_a_second_the_bucket_fills_as_fast(at: Open) -> None:
    budget = at(100_000)
    set_bucket(budget, 0, 0.5)
    budget.take(impatient())
    assert tokens_of(budget) == pytest.approx(50_000, rel=0.05)


def test_at_100000_a_second_50000_tokens_are_back_in_half_a_second(at: Open) -> None:
    budget = at(100_000)
    set_bucket(budget, -50_000, 0)
    with pytest.raises(Postponed) as caught:
        budget.take(impatient())
    assert 0 < (caught.value.retry_after or 0) <= 0.501


def test_the_rate_holds_over_time_for_many_workers(at: Open) -> None:
    budget, end = at(100), time.monotonic() + 0.5
    count_granted(budget)

    def work(_: int) -> int:
        granted = 0
        while time.monotonic() < end:
            granted += is_granted(budget)
        return granted

    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        granted = sum(pool.map(work, range(8)))
    assert granted == pytest.approx(100 * (end - started), abs=6)


def test_a_full_bucket_does_not_overflow(at: Open) -> None:
    budget = at(5)
    set_bucket(budget, 5, 3600)
    assert count_granted(budget) == 5


def test_a_clock_that_was_set_back_takes_nothing_away(at: Open) -> None:
    budget = at(5)
    set_bucket(budget, 5, -3600)
    assert is_granted(budget)


def test_what_protects_telegram_is_never_evicted(at: Open, redis: Redis, keys: Keys) -> None:
    at(5).take(impatient())
    assert redis.ttl(keys.budget) == -1


# The lanes


@pytest.mark.parametrize(("lane", "granted"), [("hot", 12), ("warm", 8), ("rewarm", 4)])
def test_each_lane_leaves_something_to_those_before_it(at: Open, lane: Lane, granted: int) -> None:
    assert count_granted(at(12), lane) == granted


def test_what_rewarm_leaves_is_there_for_the_others(at: Open) -> None:
    budget = at(12)
    assert [count_granted(budget, lane) for lane in ("rewarm", "warm", "hot")] == [4, 4, 4]


def test_hot_waits_for_a_token(at: Open) -> None:
    budget = at(10)
    count_granted(budget)
    started = time.monotonic()
    budget.take(Errand.start("hot", 1))
    assert 0.03 < time.monotonic() - started < 0.3


def test_hot_does_not_begin_to_wait_longer_than_its_patience(at: Open) -> None:
    budget = at(1)
    count_granted(budget)
    started = time.monotonic()
    with pytest.raises(Postponed):
        budget.take(Errand.start("hot", 0.3))
    assert time.monotonic() - started < 0.1


@pytest.mark.parametrize("lane", ["warm", "rewarm"])
def test_the_other_lanes_never_wait(at: Open, lane: Lane) -> None:
    budget = at(10)
    count_granted(budget)
    started = time.monotonic()
    with pytest.raises(Postponed) as caught:
        budget.take(Errand.start(lane, 10))
    assert time.monotonic() - started < 0.1
    assert (caught.value.retry_after or 0) > 0.1


# The pause


@pytest.mark.parametrize("lane", LANES)
def test_a_pause_holds_for_all_and_nobody_waits_in_it(at: Open, lane: Lane) -> None:
    budget = at(10)
    budget.pause(5)
    started = time.monotonic()
    with pytest.raises(Paused) as caught:
        budget.take(Errand.start(lane, 10))
    assert time.monotonic() - started < 0.1
    assert caught.value.retry_after == pytest.approx(5, abs=0.1)


def test_a_pause_ends(at: Open) -> None:
    budget = at(10)
    budget.pause(0.05)
    assert budget.get_pause() > 0
    end = time.monotonic() + 0.1
    while budget.get_pause():
        assert time.monotonic() < end
    assert is_granted(budget)


def test_a_shorter_pause_never_shortens_a_longer_one(at: Open) -> None:
    budget = at(10)
    for seconds in (5, 1, 3):
        budget.pause(seconds)
    assert budget.get_pause() == pytest.approx(5, abs=0.1)
    budget.pause(8)
    assert budget.get_pause() == pytest.approx(8, abs=0.1)


def test_without_a_pause_there_is_nothing_to_wait_for(at: Open) -> None:
    assert at(10).get_pause() == 0


def test_downloads_obey_the_pause(at: Open) -> None:
    budget = at(10)
    budget.pause(5)
    with pytest.raises(Paused):
        budget.spend_nothing(impatient(), lambda _: "bytes")


def test_downloads_cost_no_token(at: Open) -> None:
    budget = at(3)
    count_granted(budget)
    assert [budget.spend_nothing(impatient("rewarm"), lambda _: "bytes") for _ in range(10)] == ["bytes"] * 10


@pytest.mark.parametrize("spend", ["spend", "spend_nothing"])
def test_a_429_becomes_a_pause_for_all(at: Open, spend: str) -> None:
    budget = at(10)
    with pytest.raises(Paused):
        getattr(budget, spend)(impatient(), refuse(Paused("429", retry_after=7)))
    assert budget.get_pause() == pytest.approx(7, abs=0.1)


# The token


def test_a_refused_token_halts_every_call_until_resumed(at: Open) -> None:
    budget = at(10)
    with pytest.raises(TokenRejected):
        budget.spend(impatient(), refuse(TokenRejected("401")))
    assert budget.is_halted()
    with pytest.raises(TokenRejected):
        budget.take(impatient())
    with pytest.raises(TokenRejected):
        budget.check_pause()
    budget.resume()
    assert is_granted(budget)
    assert not budget.is_halted()


def test_a_halt_is_said_loudly(at: Open, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(TokenRejected):
        at(10).spend(impatient(), refuse(TokenRejected("getFile: 401")))
    assert [record.levelname for record in caplog.records if record.name == "warmer.budget"] == ["CRITICAL"]


def test_a_call_gets_the_deadline_of_its_errand(at: Open) -> None:
    errand = impatient()
    assert at(10).spend(errand, lambda deadline: deadline) is errand.deadline
