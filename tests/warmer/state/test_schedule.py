"""The schedule: the next run of each subject."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from tests.support.remaining import remaining
from tests.warmer.conftest import list_next_runs
from warmer.keys import Keys
from warmer.state.schedule import Schedule


@pytest.fixture
def schedule(redis: Redis, keys: Keys) -> Schedule:
    return Schedule(redis, keys)


def test_the_next_run_is_set_by_the_clock_of_redis(schedule: Schedule, redis: Redis, keys: Keys) -> None:
    schedule.set("a", 30)
    assert list_next_runs(schedule)["a"] == remaining(30)
    assert redis.ttl(keys.schedule) == -1


def test_schedule_by_makes_a_run_earlier_and_never_later(schedule: Schedule, redis: Redis, keys: Keys) -> None:
    schedule.set("early", 5)
    schedule.set("late", 60)
    schedule.schedule_by(["early", "late", "new"], 30)
    assert list_next_runs(schedule) == {"early": remaining(5), "late": remaining(30), "new": remaining(30)}


def test_set_replaces_another_run(schedule: Schedule, redis: Redis, keys: Keys) -> None:
    schedule.set("a", 30)
    schedule.set("a", 5)
    assert list_next_runs(schedule)["a"] == remaining(5)
    assert schedule.count() == 1


def test_schedule_if_absent_leaves_an_existing_run_alone(schedule: Schedule, redis: Redis, keys: Keys) -> None:
    schedule.set("a", 30)
    schedule.schedule_if_absent(["a", "b"], 5)
    assert list_next_runs(schedule)["a"] == remaining(30)
    assert list_next_runs(schedule)["b"] == remaining(5)


def test_an_empty_list_of_subjects_is_no_error(schedule: Schedule) -> None:
    schedule.schedule_if_absent([], 5)
    schedule.cancel()
    assert schedule.count() == 0


def test_only_subjects_that_are_due_are_taken_the_oldest_first(schedule: Schedule) -> None:
    for subject, seconds in (("later", 30), ("newer", -1), ("older", -2)):
        schedule.set(subject, seconds)
    assert schedule.take(10, 60) == ["older", "newer"]


def test_a_subject_becomes_due(schedule: Schedule) -> None:
    schedule.set("a", 30)
    assert schedule.take(10, 60) == []
    schedule.redis.zincrby(schedule.keys.schedule, -30, "a")  # half a minute later
    assert schedule.take(10, 60) == ["a"]


def test_a_taken_subject_runs_again_later_unless_it_is_cancelled(schedule: Schedule, redis: Redis, keys: Keys) -> None:
    schedule.set("a", -1)
    schedule.take(10, 60)
    assert list_next_runs(schedule)["a"] == remaining(60)
    schedule.cancel("a")
    assert schedule.count() == 0


@pytest.mark.parametrize("limit", [0, 3])
def test_no_more_than_the_limit_is_taken(schedule: Schedule, limit: int) -> None:
    schedule.schedule_if_absent([str(number) for number in range(10)], -1)
    assert len(schedule.take(limit, 60)) == limit


def test_two_ticks_never_take_the_same_subject(schedule: Schedule) -> None:
    schedule.schedule_if_absent([str(number) for number in range(300)], -1)
    with ThreadPoolExecutor(8) as pool:
        taken = [subject for part in pool.map(lambda _: schedule.take(10, 60), range(40)) for subject in part]
    assert sorted(taken, key=int) == [str(number) for number in range(300)]


def test_one_of_many_workers_gets_the_slot(schedule: Schedule) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: schedule.take_slot("tick", 60), range(20))) == 1


def test_a_slot_is_free_a_little_before_the_next_period(schedule: Schedule, redis: Redis, keys: Keys) -> None:
    assert schedule.take_slot("tick", 2000)
    assert redis.ttl(keys.slot("tick")) == remaining(1800)


def test_each_periodic_task_has_its_own_slot(schedule: Schedule) -> None:
    assert schedule.take_slot("tick", 60)
    assert schedule.take_slot("other", 60)


def test_count_within_includes_late_runs(schedule: Schedule) -> None:
    for subject, seconds in (("late", -100.0), ("soon", 30.0), ("later", 600.0), ("last", 7200.0)):
        schedule.set(subject, seconds)
    assert schedule.count_within(0, 60, 3600) == [1, 2, 3]


def test_lateness_is_that_of_the_earliest_run(schedule: Schedule) -> None:
    assert schedule.get_lateness() == 0
    schedule.set("later", 60)
    assert schedule.get_lateness() == 0
    schedule.set("late", -100)
    schedule.set("less", -50)
    assert schedule.get_lateness() >= 100
