"""The number of tombstones is limited."""

from __future__ import annotations

import pytest
from redis import Redis

from tests.conftest import next_id
from warmer.keys import Keys, Subject
from warmer.photo import Unavailable
from warmer.state import tombstones
from warmer.state.photos import PhotoStore
from warmer.state.tombstones import drop_oldest_tombstones
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


def test_one_call_drops_a_batch(store: PhotoStore, redis: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, 2)
    monkeypatch.setattr(tombstones, "DROP_MAX", 2)
    for _ in range(5):
        forget_one(store)
    assert [drop_oldest_tombstones(redis, keys) for _ in range(3)] == [2, 1, 0]


def test_a_picture_that_another_person_shows_is_not_listed(store: PhotoStore, redis: Redis, keys: Keys) -> None:
    redis.sadd(keys.people("shown"), 43)
    store.forget("shown", "not shown", shown_by=42)
    assert redis.zrange(keys.tombstones, 0, -1) == [keys.forgotten("not shown").encode()]


def test_beat_limits_the_number_of_tombstones(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    subjects = [forget_one(context.steps.store) for _ in range(3)]
    limit(monkeypatch, 2)
    keep_newest(context)
    assert list_forgotten(context.steps.store, subjects) == subjects[1:]
