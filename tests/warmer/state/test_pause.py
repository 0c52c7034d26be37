"""The pause and the halt of the Telegram budget: every worker keeps them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis

from tests.support.clock import Clock
from tests.warmer.state.conftest import LANES, Open, count_granted, impatient, is_granted
from warmer.deadline import Deadline, JobContext
from warmer.errors import BotTrouble, Paused, TokenRejected, Transient
from warmer.keys import Keys, Lane
from warmer.state.budget import Budget, read_trouble


def refuse(error: Transient) -> Callable[[Deadline], str]:
    def call(_: Deadline) -> str:
        raise error

    return call


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


def test_a_clock_set_back_makes_a_pause_no_longer(at: Open, clock: Clock) -> None:
    at(10).pause(5)
    clock.advance(-600)
    assert at(10).get_pause() == pytest.approx(5, abs=0.002)
    clock.advance(4)
    assert at(10).get_pause() == pytest.approx(1, abs=0.002)  # and it is counted down by the new clock
    clock.advance(2)
    assert is_granted(at(10))


def test_a_clock_set_back_lets_a_longer_pause_replace_a_shorter_one(at: Open, clock: Clock) -> None:
    at(10).pause(5)
    clock.advance(-600)
    at(10).pause(20)
    assert at(10).get_pause() == pytest.approx(20, abs=0.002)


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


class BrokenOff(Exception):
    """The process ends."""


def test_a_worker_that_dies_while_it_resumes_leaves_no_part_of_the_halt(
    at: Open, redis: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget = at(10)
    budget.halt()
    hdel = redis.hdel

    def delete_and_die(*names: str) -> int:
        hdel(*names)
        raise BrokenOff

    monkeypatch.setattr(redis, "hdel", delete_and_die)
    with pytest.raises(BrokenOff):
        budget.resume()
    assert read_trouble(redis, keys).halted_since == 0
