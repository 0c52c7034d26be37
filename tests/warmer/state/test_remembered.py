"""The note that some web process remembers a list."""

from __future__ import annotations

import pytest
from redis import Redis
from redis.crc import key_slot
from redis.exceptions import ResponseError

from tests.support.redis_kinds import list_masters
from warmer.keys import REMEMBERED_SECONDS, Keys
from warmer.state.people import People
from warmer.state.remembered import LIST_SECONDS, RememberedLists


@pytest.fixture
def remembered(redis: Redis, keys: Keys) -> RememberedLists:
    return RememberedLists(redis, keys)


def test_who_reads_ids_to_remember_them_says_so(remembered: RememberedLists, people: People) -> None:
    for person_id in (1, 2, 3):
        people.register(person_id, "Ann")
    assert not remembered.may_exist()
    assert remembered.read_ids(2) == ([3, 2], True)
    assert remembered.may_exist()


def test_the_note_outlives_every_list_and_then_ends(remembered: RememberedLists, redis: Redis, keys: Keys) -> None:
    remembered.read_ids(20)
    assert 0 < redis.pttl(keys.remembered) <= REMEMBERED_SECONDS * 1000
    assert REMEMBERED_SECONDS > LIST_SECONDS


def test_the_note_is_in_the_slot_of_the_list_so_that_a_cluster_writes_it_first(keys: Keys) -> None:
    assert key_slot(keys.remembered.encode()) == key_slot(keys.recent.encode())


def test_a_redis_that_takes_no_writes_is_read_and_nothing_may_be_remembered(
    remembered: RememberedLists, people: People, redis: Redis
) -> None:
    people.register(1, "Ann")
    for master in list_masters(redis):
        master.config_set("maxmemory", 1)
    try:
        assert remembered.read_ids(20) == ([1], False)
        assert not remembered.may_exist()
    finally:
        for master in list_masters(redis):
            master.config_set("maxmemory", 0)


def test_a_list_that_cannot_be_read_is_an_error(remembered: RememberedLists, redis: Redis, keys: Keys) -> None:
    redis.set(keys.recent, "no list")
    with pytest.raises(ResponseError):
        remembered.read_ids(20)
