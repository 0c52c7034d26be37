"""When the demo's partners joined: over days, in the order of their registration."""

from __future__ import annotations

from itertools import pairwise

import pytest

from runner.demo import GROWTH, NEWEST_SECONDS, move_back, register_partners
from runner.terminal import StartFailed
from warmer.state.records import Records
from warmer.wiring import WorkerContext

AWAY = "redis://127.0.0.1:1"


@pytest.fixture
def records(context: WorkerContext) -> Records:
    return Records(context.redis, context.keys, context.settings.photo_ttl)


def test_new_partners_joined_over_days_in_the_same_order(context: WorkerContext, records: Records) -> None:
    people = context.people
    before = [people.register(number, f"Ann {number}", None).person for number in range(1, 25)]
    for person in before:
        move_back(records, person.id, NEWEST_SECONDS * GROWTH ** (24 - person.id))
    after = people.list_recent(100)
    assert [person.id for person in after] == list(range(24, 0, -1))
    joined = [person.joined_us or 0 for person in after]
    moved = [(old.joined_us or 0) - new for old, new in zip(before[::-1], joined, strict=True)]
    assert moved[0] == NEWEST_SECONDS * 1_000_000
    assert all(2 * later > earlier > later for later, earlier in pairwise(moved))
    assert 5 < moved[-1] / 86_400_000_000 < 7  # days
    assert [context.redis.zscore(context.keys.recent, str(person.id)) for person in after] == joined


def test_a_moved_place_stays_when_the_person_registers_again_and_nothing_else_changes(
    context: WorkerContext, records: Records
) -> None:
    people = context.people
    people.register(1, "Ann", None)
    before = people.get(1)
    move_back(records, 1, 60)
    moved = people.get(1)
    assert (moved.joined_us or 0) == (before.joined_us or 0) - 60_000_000
    assert (moved.id, moved.name, moved.needs_look_up, moved.shown) == (1, "Ann", True, ())
    assert people.register(1, "Anna", None).person.joined_us == moved.joined_us


def test_an_id_without_a_record_gets_no_place(context: WorkerContext, records: Records) -> None:
    move_back(records, 7, 60)
    assert context.people.list_recent_ids(10) == []


def test_a_person_who_joined_before_the_start_keeps_the_place(context: WorkerContext, records: Records) -> None:
    joined_us = context.people.register(1, "Ann", None).person.joined_us or 0
    move_back(records, 1, 60, since_us=joined_us + 1)
    assert context.people.get(1).joined_us == joined_us
    move_back(records, 1, 60, since_us=joined_us)
    assert context.people.get(1).joined_us == joined_us - 60_000_000


def test_a_redis_that_fails_while_partners_are_registered_ends_the_start_with_one_line(context: WorkerContext) -> None:
    settings = context.settings.model_copy(update={"redis_url": AWAY})
    with pytest.raises(StartFailed, match=r"^Redis failed [^\n]*\Z"):
        register_partners("http://127.0.0.1:1/", settings, lambda: False)


@pytest.mark.parametrize("stops_at", [1, 2])
def test_ctrl_c_before_redis_is_up_is_no_error(context: WorkerContext, stops_at: int) -> None:
    looks: list[int] = []

    def is_stopping() -> bool:
        looks.append(1)
        return len(looks) >= stops_at

    settings = context.settings.model_copy(update={"redis_url": AWAY})
    register_partners("http://127.0.0.1:1/", settings, is_stopping)
