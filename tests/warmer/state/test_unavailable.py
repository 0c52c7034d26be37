"""Pictures that are unavailable or forgotten, and the status of each."""

from __future__ import annotations

import pytest
from redis import Redis

from tests.conftest import listening
from tests.support.remaining import remaining
from tests.support.steps import is_ready
from tests.warmer.conftest import list_keys
from tests.warmer.state.conftest import DAY, FID, FORMATS, KIND, OTHER, PREVIEW, render
from warmer.keys import FAILURES_SECONDS, Keys
from warmer.photo import PhotoStatus, Unavailable, VariantSpec, version_of
from warmer.state.lease import Lease, LeaseManager
from warmer.state.photos import PhotoStore


def put_unavailable_again(store: PhotoStore, leases: LeaseManager, keys: Keys) -> int:
    """Add one more negative cache entry, as after the one before has expired. Returns its seconds."""
    store.redis.delete(keys.unavailable(FID))
    lease = leases.take(FID, "warm")
    seconds = store.put_unavailable(lease, "invalid-file-id", DAY, 7 * DAY)
    leases.release(lease)
    return seconds


def test_the_first_negative_cache_entry_lasts_the_given_time(
    store: PhotoStore, lease: Lease, redis: Redis, keys: Keys
) -> None:
    assert store.put_unavailable(lease, "none", 600, 7 * DAY) == 600
    assert store.get_unavailable(FID) == Unavailable("none")
    assert redis.ttl(keys.unavailable(FID)) == remaining(600)


def test_each_negative_cache_entry_in_a_row_lasts_twice_as_long_up_to_the_maximum(
    store: PhotoStore, leases: LeaseManager, keys: Keys
) -> None:
    seconds = [put_unavailable_again(store, leases, keys) for _ in range(5)]
    assert seconds == [DAY, 2 * DAY, 4 * DAY, 7 * DAY, 7 * DAY]


def test_the_count_of_entries_outlives_each_entry(
    store: PhotoStore, leases: LeaseManager, redis: Redis, keys: Keys
) -> None:
    for _ in range(3):
        seconds = put_unavailable_again(store, leases, keys)
        assert redis.ttl(keys.negative_count(FID)) == remaining(seconds + FAILURES_SECONDS)


def test_earlier_failures_do_not_lengthen_the_first_entry(
    store: PhotoStore, lease: Lease, redis: Redis, keys: Keys
) -> None:
    assert [store.count_failure(lease, KIND) for _ in range(3)] == [1, 2, 3]
    assert redis.ttl(keys.failures(FID)) == remaining(DAY)
    assert store.put_unavailable(lease, "none", 600, 7 * DAY) == 600
    assert store.count_failure(lease, KIND) == 1


def test_forgotten_takes_precedence_over_every_other_cause(store: PhotoStore, redis: Redis, keys: Keys) -> None:
    redis.set(keys.unavailable(FID), "too-big")
    redis.set(keys.forgotten(FID), "1")
    assert store.get_unavailable(FID) == Unavailable("forgotten")


def test_an_unknown_subject_is_warming(store: PhotoStore) -> None:
    assert store.get_statuses([FID, "user:42"]) == [PhotoStatus("warming"), PhotoStatus("warming")]
    assert store.get_statuses([]) == []


def test_ready_means_every_size_in_the_first_format(store: PhotoStore, lease: Lease) -> None:
    store.put(lease, render(80, 160))
    store.put(lease, render(fmt="jpeg"))
    assert store.get_statuses([FID])[0].status == "warming"
    store.put(lease, render(320))
    assert store.get_statuses([FID]) == [PhotoStatus("ready", PREVIEW, version_of("AQADunique"))]
    assert is_ready(store, FID)


@pytest.mark.parametrize(
    ("cause", "status"), [("none", "none"), ("too-big", "unavailable"), ("crashed", "unavailable")]
)
def test_the_status_follows_the_stored_cause(
    store: PhotoStore, redis: Redis, keys: Keys, cause: str, status: str
) -> None:
    redis.set(keys.unavailable(FID), cause)
    assert store.get_statuses([FID])[0].status == status


def test_a_forgotten_picture_has_status_none_even_if_stored(
    store: PhotoStore, lease: Lease, redis: Redis, keys: Keys
) -> None:
    store.put(lease, render())
    redis.set(keys.forgotten(FID), "1")
    assert store.get_statuses([FID]) == [PhotoStatus("none")]


@pytest.fixture
def store_with_every_key(store: PhotoStore, lease: Lease, redis: Redis, keys: Keys) -> PhotoStore:
    """A store with every kind of key of one picture."""
    for fmt in FORMATS:
        store.put(lease, render(fmt=fmt))
    store.redis.set(keys.path(FID), "{}")
    store.put_unavailable(lease, "none", 600, 7 * DAY)
    store.count_failure(lease, KIND)
    store.redis.sadd(store.keys.wanted(FID), str(VariantSpec(160, "jpeg")))
    redis.sadd(keys.people(FID), 42)
    for lane in ("hot", "warm", "rewarm"):
        redis.set(keys.enqueued(FID, lane), "1")
    return store


def test_forgetting_leaves_only_the_tombstone(store_with_every_key: PhotoStore, redis: Redis, keys: Keys) -> None:
    assert store_with_every_key.forget(FID, shown_by=42)
    assert list_keys(redis) == {keys.forgotten(FID), keys.tombstones}
    assert {redis.ttl(key) for key in list_keys(redis)} == {-1}, "Redis evicts what has a TTL"


def test_a_picture_that_another_partner_shows_stays(store_with_every_key: PhotoStore, redis: Redis, keys: Keys) -> None:
    redis.sadd(keys.people(FID), 43)
    before = list_keys(redis)
    assert not store_with_every_key.forget(FID, shown_by=42)
    assert list_keys(redis) == before
    assert redis.smembers(keys.people(FID)) == {b"43"}


def test_forgetting_removes_formats_that_are_no_longer_configured(
    store_with_every_key: PhotoStore, redis: Redis, keys: Keys
) -> None:
    redis.set(keys.variant(FID, 80, "avif"), "old")
    store_with_every_key.forget(FID, shown_by=42)
    assert not redis.exists(keys.variant(FID, 80, "avif"))


def test_after_clearing_the_tombstone_a_picture_can_be_stored_again(
    store_with_every_key: PhotoStore, leases: LeaseManager, redis: Redis
) -> None:
    store_with_every_key.forget(FID, shown_by=42)
    store_with_every_key.clear_tombstones(FID, OTHER)
    assert list_keys(redis) == set()
    store_with_every_key.put(leases.take(FID, "warm"), render())


def test_forgetting_is_announced(store_with_every_key: PhotoStore, redis: Redis, keys: Keys) -> None:
    with listening(redis, keys.done, keys.purge) as hear:
        store_with_every_key.forget(FID, shown_by=42)
        # In either order, and perhaps after the announcement of a put: cluster nodes do not wait for each other.
        said = (message for message in iter(hear, None) if message != f"{FID} stored".encode())
        assert {next(said), next(said)} == {FID.encode(), f"{FID} forgotten".encode()}
