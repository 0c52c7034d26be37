"""What Telegram said last about an id's newest picture."""

from __future__ import annotations

import json

import pytest
from redis import Redis

from tests.conftest import listening
from tests.support.remaining import remaining
from warmer.errors import NotMine
from warmer.keys import Keys, user_subject
from warmer.state.lease import Forgotten, Lease, LeaseManager
from warmer.state.profiles import FRESH_SECONDS, Profile, Profiles

TTL, CHECK = 1000, 21_600


@pytest.fixture
def profiles(redis: Redis, keys: Keys) -> Profiles:
    return Profiles(redis, keys, TTL, CHECK)


@pytest.fixture
def lease(redis: Redis, keys: Keys) -> Lease:
    return LeaseManager(redis, keys).take(user_subject(42), "warm")


def test_what_is_put_is_found_with_the_time_of_redis(profiles: Profiles, lease: Lease, redis: Redis) -> None:
    now = redis.time()[0]
    profile = profiles.put(lease, 42, "file", "unique")
    assert profiles.get(42) == profile == Profile("file", "unique", profile.looked_up_at)
    assert now <= profile.looked_up_at <= redis.time()[0]


def test_it_lives_as_long_as_a_picture(profiles: Profiles, lease: Lease, redis: Redis, keys: Keys) -> None:
    profiles.put(lease, 42, "file", "unique")
    assert redis.ttl(keys.profile(42)) == remaining(TTL)


def test_many_are_read_at_once(profiles: Profiles, lease: Lease) -> None:
    profile = profiles.put(lease, 42, "file", "unique")
    assert profiles.get_many([1, 42]) == [None, profile]
    assert profiles.get_many([]) == []


def test_fields_of_another_release_are_left_out_and_kept(profiles: Profiles, redis: Redis, keys: Keys) -> None:
    said = {"file_id": "file", "unique_id": "unique", "looked_up_at": 5, "shape": "round"}
    redis.set(keys.profile(42), json.dumps(said))
    assert profiles.get(42) == Profile("file", "unique", 5)
    profiles.mark_old(42)
    assert json.loads(redis.get(keys.profile(42)) or "") == said | {"looked_up_at": 0}


def test_without_the_claim_nothing_is_written(profiles: Profiles, lease: Lease, redis: Redis, keys: Keys) -> None:
    redis.delete(keys.lease(lease.subject))
    with pytest.raises(NotMine):
        profiles.put(lease, 42, "file", "unique")
    assert profiles.get(42) is None


def test_a_forgotten_id_gets_no_profile(profiles: Profiles, lease: Lease, redis: Redis, keys: Keys) -> None:
    redis.set(keys.forgotten(lease.subject), "1")
    with pytest.raises(Forgotten):
        profiles.put(lease, 42, "file", "unique")
    assert profiles.get(42) is None


def test_a_changed_picture_purges_the_id_and_the_same_one_does_not(
    profiles: Profiles, lease: Lease, redis: Redis, keys: Keys
) -> None:
    with listening(redis, keys.purge) as hear:
        for file_id in ("b", "b", "a", "a", "b"):
            profiles.put(lease, 42, file_id, "unique")
        redis.publish(keys.purge, "the end")
        assert list(iter(hear, b"the end")) == [b"user:42"] * 3


def test_every_former_picture_is_remembered_once_the_newest_first(profiles: Profiles, lease: Lease) -> None:
    for file_id in ("b", "a", "b", "c"):
        profile = profiles.put(lease, 42, file_id, "unique")
    assert profile.list_ever_shown() == ["c", "b", "a"]


def test_a_look_up_grows_old(profiles: Profiles, redis: Redis) -> None:
    now = redis.time()[0]
    assert profiles.is_older(Profile("file", "unique", now - 100), 60)
    assert not profiles.is_older(Profile("file", "unique", now - 50), 60)


def test_a_look_up_is_aged_when_its_time_to_check_has_come(profiles: Profiles, redis: Redis) -> None:
    now = redis.time()[0]
    assert profiles.is_aged(int(now - 1.25 * CHECK - 10))
    assert not profiles.is_aged(now - CHECK - 10)  # the turns of the newest partners come first


def test_a_look_up_is_fresh_for_a_minute_or_half_the_time_between_two_checks(redis: Redis, keys: Keys) -> None:
    assert Profiles(redis, keys, TTL, CHECK).fresh_seconds == FRESH_SECONDS == 60
    assert Profiles(redis, keys, TTL, 10).fresh_seconds == 5


def test_one_marked_old_keeps_its_picture_and_its_ttl(
    profiles: Profiles, lease: Lease, redis: Redis, keys: Keys
) -> None:
    profiles.put(lease, 42, "file", "unique")
    redis.expire(keys.profile(42), 77)
    profiles.mark_old(42)
    assert profiles.get(42) == Profile("file", "unique", 0)
    assert redis.ttl(keys.profile(42)) == remaining(77)


def test_marking_an_unknown_one_old_writes_nothing(profiles: Profiles, redis: Redis) -> None:
    profiles.mark_old(42)
    assert not list(redis.scan_iter("*"))


def test_a_dropped_one_is_gone(profiles: Profiles, lease: Lease) -> None:
    profiles.put(lease, 42, "file", "unique")
    profiles.drop(42)
    assert profiles.get(42) is None
