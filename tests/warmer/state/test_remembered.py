"""The note that some web process remembers a list."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
from redis import Redis
from redis.crc import key_slot
from redis.exceptions import ResponseError

from tests.conftest import wait_until
from tests.support.redis_kinds import KIND, list_masters
from tests.support.remaining import remaining
from tests.warmer.state.conftest import A
from warmer.keys import REMEMBERED_SECONDS, Keys
from warmer.state.people import People
from warmer.state.person import Person
from warmer.state.remembered import LIST_SECONDS, read_ids_to_remember

LASTS_SECONDS = 600.0


@pytest.fixture(autouse=True)
def _note_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than any test: in production it ends after a second and a half, also on a busy machine."""
    for place in ("person", "remembered"):
        monkeypatch.setattr(f"warmer.state.{place}.REMEMBERED_SECONDS", LASTS_SECONDS)


def test_ids_that_are_read_to_be_remembered_leave_a_note(redis: Redis, keys: Keys, people: People) -> None:
    for person_id in (1, 2, 3):
        people.register(person_id, "Ann")
    assert not redis.exists(keys.remembered)
    assert read_ids_to_remember(redis, keys, 2) == ([3, 2], True)
    assert redis.exists(keys.remembered)


def test_the_note_outlives_every_list_and_then_ends(redis: Redis, keys: Keys) -> None:
    read_ids_to_remember(redis, keys, 20)
    assert redis.pttl(keys.remembered) / 1000 == remaining(LASTS_SECONDS)
    assert REMEMBERED_SECONDS > LIST_SECONDS


def test_the_note_is_in_the_slot_of_the_list_so_that_a_cluster_writes_it_first(keys: Keys) -> None:
    assert key_slot(keys.remembered.encode()) == key_slot(keys.recent.encode())


def test_a_redis_that_takes_no_writes_is_read_and_nothing_may_be_remembered(
    redis: Redis, keys: Keys, people: People
) -> None:
    people.register(1, "Ann")
    for master in list_masters(redis):
        master.config_set("maxmemory", 1)
    try:
        assert read_ids_to_remember(redis, keys, 20) == ([1], False)
        assert not redis.exists(keys.remembered)
    finally:
        for master in list_masters(redis):
            master.config_set("maxmemory", 0)


def test_a_list_that_cannot_be_read_is_an_error(redis: Redis, keys: Keys) -> None:
    redis.set(keys.recent, "no list")
    with pytest.raises(ResponseError):
        read_ids_to_remember(redis, keys, 20)


# A registration


def test_a_registration_outdates_lists_only_if_one_may_be_remembered(redis: Redis, keys: Keys, people: People) -> None:
    assert not people.register(1, "Ann").outdates_lists
    redis.set(keys.remembered, "1")
    assert people.register(1, "Zoë").outdates_lists
    redis.delete(keys.remembered)
    assert not people.register(1, "Ann").outdates_lists


def test_a_list_that_is_remembered_while_another_process_writes_the_record_is_seen(
    redis: Redis, keys: Keys, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt to write the record finds no note, and fails: the second one looks again."""
    fetch, others = people._records.fetch, [keys.remembered, keys.person(1)]

    def fetch_before_another_writes(person_id: int) -> Person:
        person = fetch(person_id)
        redis.set(others.pop(), "{}")
        return person

    monkeypatch.setattr(people._records, "fetch", fetch_before_another_writes)
    assert people.register(1, "Ann").outdates_lists
    assert others == []


@pytest.mark.skipif(KIND != "cluster", reason="only the nodes of a cluster take a pipeline in any order")
def test_a_list_that_is_remembered_before_the_node_of_the_record_has_written_is_seen(
    redis: Redis, keys: Keys, people: People
) -> None:
    client: Any = redis
    nodes = client.nodes
    busy = [nodes.get_node_from_key(key) for key in (keys.recent, keys.schedule)]  # the second one tells the time
    person_id = next(one for one in count(1) if nodes.get_node_from_key(keys.person(one)) not in busy)
    late = nodes.get_redis_connection(nodes.get_node_from_key(keys.person(person_id)))
    with ThreadPoolExecutor(1) as pool:
        late.client_pause(60_000, all=False)  # it reads, and writes nothing
        try:
            registered = pool.submit(people.register, person_id, "Ann")
            wait_until(lambda: redis.zscore(keys.recent, str(person_id)))
            assert read_ids_to_remember(redis, keys, 20) == ([person_id], True)
            assert not people.get(person_id).is_registered
        finally:
            late.client_unpause()
        assert registered.result().outdates_lists


def test_a_registration_that_changes_no_list_outdates_none(redis: Redis, keys: Keys, people: People) -> None:
    redis.set(keys.remembered, "1")
    told: list[bool] = []
    for name, file_id in (("Ann", A), ("Ann", A), ("Zoë", A), ("Zoë", A)):
        told.append(people.register(42, name, file_id).outdates_lists)
        age(people, 42)
    assert told == [True, False] * 2


def test_a_registration_a_moment_after_the_first_counts_as_one_that_changes_lists(
    redis: Redis, keys: Keys, people: People
) -> None:
    redis.set(keys.remembered, "1")
    assert [people.register(42, "Ann", A).outdates_lists for _ in range(2)] == [True, True]


def age(people: People, person_id: int) -> None:
    """As if the person had registered long ago."""
    record = json.loads(people.redis.get(people.keys.person(person_id)) or "")
    people.redis.set(people.keys.person(person_id), json.dumps(record | {"joined_us": 1}))
