"""The number of tombstones is limited."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
from redis import Redis

from tests.conftest import next_id
from tests.warmer.state.conftest import A, found
from warmer.keys import Keys, Subject
from warmer.photo import Unavailable
from warmer.state import tombstones
from warmer.state.people import People
from warmer.state.photos import PhotoStore
from warmer.state.tombstones import DROP_SECONDS, drop_oldest_tombstones
from warmer.wiring import WorkerContext
from warmer.worker.beat_rounds import keep_newest


def forget_one(store: PhotoStore) -> Subject:
    store.forget(subject := Subject.of_person(next_id()))
    return subject


def list_forgotten(store: PhotoStore, subjects: list[Subject]) -> list[Subject]:
    return [subject for subject in subjects if store.get_unavailable(subject) == Unavailable("forgotten")]


def limit(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(tombstones, "TOMBSTONES_MAX", number)


def test_beyond_the_limit_the_oldest_tombstones_are_dropped(
    store: PhotoStore, redis: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    subjects = [forget_one(store) for _ in range(10)]
    for most, dropped in ((11, 0), (10, 0), (7, 3)):
        limit(monkeypatch, most)
        assert drop_oldest_tombstones(redis, keys) == dropped
    assert list_forgotten(store, subjects) == subjects[3:]
    assert redis.zcard(keys.tombstones) == 7


def test_forgetting_again_makes_a_tombstone_the_newest(
    store: PhotoStore, redis: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = forget_one(store), forget_one(store)
    store.clear_tombstones(first)
    store.forget(first)
    limit(monkeypatch, 1)
    drop_oldest_tombstones(redis, keys)
    assert list_forgotten(store, [first, second]) == [first]


def test_the_order_of_tombstones_does_not_depend_on_the_clock_of_a_machine(
    store: PhotoStore, redis: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = forget_one(store)
    monkeypatch.setattr("time.time", lambda: 1.0)
    second = forget_one(store)
    limit(monkeypatch, 1)
    drop_oldest_tombstones(redis, keys)
    assert list_forgotten(store, [first, second]) == [second]


def test_one_round_drops_batches_until_no_tombstone_is_too_many(
    store: PhotoStore, redis: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, 2)
    monkeypatch.setattr(tombstones, "DROP_BATCH", 2)
    subjects = [forget_one(store) for _ in range(9)]
    assert drop_oldest_tombstones(redis, keys) == 7
    assert list_forgotten(store, subjects) == subjects[7:]


def test_a_round_ends_in_time_and_the_next_one_goes_on(
    store: PhotoStore, redis: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, 2)
    monkeypatch.setattr(tombstones, "DROP_BATCH", 2)
    for _ in range(9):
        forget_one(store)
    ticks = count(step=DROP_SECONDS / 2)  # seconds: each batch takes half of the round
    assert [drop_oldest_tombstones(redis, keys, lambda: next(ticks)) for _ in range(3)] == [4, 3, 0]


def test_a_picture_that_another_person_shows_is_not_listed(store: PhotoStore, redis: Redis, keys: Keys) -> None:
    redis.sadd(keys.people("shown"), 43)
    store.forget("shown", "not shown", shown_by=42)
    assert redis.zrange(keys.tombstones, 0, -1) == [keys.forgotten("not shown").encode()]


@pytest.mark.parametrize("lifted_by", ["warming", "registration", "look-up"])
def test_a_lifted_tombstone_leaves_the_list(
    store: PhotoStore, people: People, redis: Redis, keys: Keys, lifted_by: str
) -> None:
    subjects, stays = [Subject.of_person(42), Subject(A)], forget_one(store)
    lift: dict[str, Callable[[], object]] = {
        "warming": lambda: store.clear_tombstones(*subjects),
        "registration": lambda: people.register(42, "Ann", A),
        "look-up": lambda: people.note_look_up(people.get(42), found(A)),
    }
    store.forget(*subjects[lifted_by == "look-up" :])
    lift[lifted_by]()
    assert list_forgotten(store, [*subjects, stays]) == [stays]
    assert redis.zrange(keys.tombstones, 0, -1) == [keys.forgotten(stays).encode()]


def test_beat_limits_the_number_of_tombstones(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    subjects = [forget_one(context.steps.store) for _ in range(3)]
    limit(monkeypatch, 2)
    keep_newest(context)
    assert list_forgotten(context.steps.store, subjects) == subjects[1:]
