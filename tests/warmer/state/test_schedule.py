"""What to do again, and when."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis

from tests.conftest import wait_until
from tests.support.remaining import remaining
from warmer.keys import Keys
from warmer.state.schedule import Schedule


@pytest.fixture
def schedule(redis: Redis, keys: Keys) -> Schedule:
    return Schedule(redis, keys)


def turn_of(redis: Redis, keys: Keys, subject: str) -> float:
    """Seconds until the subject's turn."""
    seconds, micros = redis.time()
    score: Any = redis.zscore(keys.schedule, subject)
    return float(score) - seconds - micros / 1e6


def test_a_subject_gets_its_turn_by_the_clock_of_redis(schedule: Schedule, redis: Redis, keys: Keys) -> None:
    schedule.set("a", 30)
    assert turn_of(redis, keys, "a") == remaining(30)
    assert redis.ttl(keys.schedule) == -1


def test_hastening_brings_a_turn_forward_and_never_puts_it_off(schedule: Schedule, redis: Redis, keys: Keys) -> None:
    schedule.set("early", 5)
    schedule.set("late", 60)
    schedule.schedule_by(["early", "late", "new"], 30)
    turns = [turn_of(redis, keys, subject) for subject in ("early", "late", "new")]
    assert turns == [remaining(5), remaining(30), remaining(30)]


def test_setting_replaces_another_turn(schedule: Schedule, redis: Redis, keys: Keys) -> None:
    schedule.set("a", 30)
    schedule.set("a", 5)
    assert turn_of(redis, keys, "a") == remaining(5)
    assert schedule.count() == 1


def test_ensuring_leaves_a_turn_alone(schedule: Schedule, redis: Redis, keys: Keys) -> None:
    schedule.set("a", 30)
    schedule.schedule_if_absent(["a", "b"], 5)
    assert turn_of(redis, keys, "a") == remaining(30)
    assert turn_of(redis, keys, "b") == remaining(5)


def test_nothing_to_ensure_or_drop_is_no_error(schedule: Schedule) -> None:
    schedule.schedule_if_absent([], 5)
    schedule.cancel()
    assert schedule.count() == 0


def test_only_those_whose_turn_has_come_are_taken_the_oldest_first(schedule: Schedule) -> None:
    for subject, seconds in (("later", 30), ("newer", -1), ("older", -2)):
        schedule.set(subject, seconds)
    assert schedule.take(10, 60) == ["older", "newer"]


def test_a_turn_in_a_moment_comes_in_a_moment(schedule: Schedule) -> None:
    schedule.set("a", 0.1)
    assert schedule.take(10, 60) == []
    assert wait_until(lambda: schedule.take(10, 60), 1) == ["a"]


def test_what_is_taken_comes_again_later_unless_settled(schedule: Schedule, redis: Redis, keys: Keys) -> None:
    schedule.set("a", -1)
    schedule.take(10, 60)
    assert turn_of(redis, keys, "a") == remaining(60)
    schedule.cancel("a")
    assert schedule.count() == 0


@pytest.mark.parametrize("limit", [0, 3])
def test_no_more_than_the_limit_is_taken(schedule: Schedule, limit: int) -> None:
    schedule.schedule_if_absent([str(number) for number in range(10)], -1)
    assert len(schedule.take(limit, 60)) == limit


def test_two_takers_never_get_the_same(schedule: Schedule) -> None:
    schedule.schedule_if_absent([str(number) for number in range(300)], -1)
    with ThreadPoolExecutor(8) as pool:
        taken = [subject for part in pool.map(lambda _: schedule.take(10, 60), range(40)) for subject in part]
    assert sorted(taken, key=int) == [str(number) for number in range(300)]


def test_a_round_belongs_to_one(schedule: Schedule) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: schedule.take_slot("tick", 60), range(20))) == 1


def test_the_next_round_is_free_a_little_before_its_time(schedule: Schedule, redis: Redis, keys: Keys) -> None:
    assert schedule.take_slot("tick", 2000)
    assert redis.ttl(keys.slot("tick")) == remaining(1800)


def test_each_kind_of_round_has_its_own_turn(schedule: Schedule) -> None:
    assert schedule.take_slot("tick", 60)
    assert schedule.take_slot("other", 60)


def test_what_is_due_soon_is_counted_with_what_is_late(schedule: Schedule) -> None:
    for subject, seconds in (("late", -100.0), ("soon", 30.0), ("later", 600.0), ("last", 7200.0)):
        schedule.set(subject, seconds)
    assert schedule.count_within(0, 60, 3600) == [1, 2, 3]


def test_lateness_is_that_of_the_earliest_turn(schedule: Schedule) -> None:
    assert schedule.get_lateness() == 0
    schedule.set("later", 60)
    assert schedule.get_lateness() == 0
    schedule.set("late", -100)
    schedule.set("less", -50)
    assert schedule.get_lateness() >= 100
