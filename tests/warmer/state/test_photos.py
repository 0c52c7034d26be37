"""The pictures in Redis: the value of each key, its TTL, and who may write it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis import Redis

from tests.conftest import listening
from tests.support.remaining import remaining
from tests.warmer.conftest import list_keys
from tests.warmer.state.conftest import DAY, FID, KIND, SIZES, TTL, render
from warmer.errors import NotMine
from warmer.keys import Keys
from warmer.photo import FilePath, VariantSpec
from warmer.state.lease import Forgotten, Lease, LeaseManager, require_lease
from warmer.state.photos import PhotoStore


def test_a_stored_picture_is_found(store: PhotoStore, lease: Lease) -> None:
    store.put(lease, render())
    found = store.get(FID, 160, "webp")
    assert found
    assert found.body == b"160"
    assert store.get(FID, 160, "jpeg") is None
    assert store.get_unique_id(FID) == "AQADunique"


def test_a_stored_picture_has_no_crash_count_although_its_lease_goes_on(
    store: PhotoStore, leases: LeaseManager, lease: Lease, redis: Redis, keys: Keys
) -> None:
    leases.count_crash(lease)
    store.put(lease, render())
    assert not redis.exists(keys.crashes(FID))


def test_without_stored_values_every_getter_returns_none(store: PhotoStore) -> None:
    for find in (store.get_unavailable, store.get_unique_id):
        assert find(FID) is None
    assert store.get_source(FID, VariantSpec(320, "webp")) is None
    for get in (store.get, store.get_header):
        assert get(FID, 80, "webp") is None


def list_ttls(store: PhotoStore) -> list[int]:
    """Returns the remaining seconds of each stored variant and the preview."""
    stored = [*(store.keys.variant(FID, size, "webp") for size in SIZES), store.keys.preview(FID)]
    return [store.redis.ttl(key) for key in stored]


def test_all_variants_of_a_picture_expire_together_although_they_are_stored_in_batches(
    store: PhotoStore, lease: Lease
) -> None:
    store.put(lease, render(160, preview=""))
    store.put(lease, render(320, 80))
    first, *_ = ttls = list_ttls(store)
    assert ttls == [remaining(first)] * 4
    assert first == remaining(TTL, rel=0.1)


def test_pictures_stored_together_do_not_expire_together(store: PhotoStore, leases: LeaseManager, redis: Redis) -> None:
    for number in range(20):
        store.put(leases.take(f"{FID}{number}", "warm"), render())
    assert len({redis.ttl(store.keys.preview(f"{FID}{number}")) for number in range(20)}) > 5


def test_a_put_removes_failures_and_the_negative_cache_entry(
    store: PhotoStore, lease: Lease, redis: Redis, keys: Keys
) -> None:
    store.count_failure(lease, KIND)
    store.put_unavailable(lease, "none", 600, 7 * DAY)
    store.count_failure(lease, KIND)
    store.put(lease, render())
    assert store.get_unavailable(FID) is None
    assert not redis.exists(keys.failures(FID), keys.negative_count(FID), keys.failing(FID))


@pytest.mark.parametrize("write", ["put", "put_unavailable", "count_failure"])
@pytest.mark.parametrize("loss", ["taken over", "run out", "forgotten"])
def test_without_the_lease_no_write_succeeds(
    store: PhotoStore, lease: Lease, redis: Redis, keys: Keys, write: str, loss: str
) -> None:
    key = keys.forgotten(FID) if loss == "forgotten" else keys.lease(FID)
    redis.delete(key) if loss == "run out" else redis.set(key, "another")
    arguments: dict[str, tuple[Any, ...]] = {
        "put": (render(),),
        "put_unavailable": ("none", 600, 7 * DAY),
        "count_failure": (KIND,),
    }
    before = list_keys(redis)
    with pytest.raises(Forgotten if loss == "forgotten" else NotMine):
        getattr(store, write)(lease, *arguments[write])
    assert list_keys(redis) == before


def put_path(store: PhotoStore, lease: Lease, path: FilePath, ttl: int) -> None:
    pipe = store.redis.pipeline(transaction=False)
    store.queue_path(pipe, lease, path, ttl)
    require_lease(pipe.execute()[0])


def test_without_the_lease_no_path_is_stored(store: PhotoStore, lease: Lease, redis: Redis, keys: Keys) -> None:
    redis.delete(keys.lease(FID))
    with pytest.raises(NotMine):
        put_path(store, lease, FilePath("p", "u"), 60)
    assert store.inspect(FID).path is None


def test_a_path_has_its_own_ttl(store: PhotoStore, lease: Lease, redis: Redis, keys: Keys) -> None:
    put_path(store, lease, FilePath("photos/file_1.jpg", "AQAD", 11_000), 1000)
    assert store.inspect(FID).path == FilePath("photos/file_1.jpg", "AQAD", 11_000)
    assert redis.ttl(keys.path(FID)) == remaining(1000, rel=0.1)


def test_fields_of_another_release_in_a_path_are_ignored(store: PhotoStore, redis: Redis, keys: Keys) -> None:
    redis.set(keys.path(FID), json.dumps({"path": "photos/file_1.jpg", "unique_id": "AQAD", "bytes": 5}))
    assert store.inspect(FID).path == FilePath("photos/file_1.jpg", "AQAD")


def test_a_dropped_path_is_gone(store: PhotoStore, lease: Lease) -> None:
    put_path(store, lease, FilePath("photos/file_1.jpg", "AQAD"), 1000)
    store.drop_path(FID)
    assert store.inspect(FID).path is None


def test_missing_variants_are_listed_by_size_and_format(store: PhotoStore, lease: Lease) -> None:
    store.put(lease, render(80))
    assert store.inspect(FID).missing == [(320, "webp"), (160, "webp")]
    assert store.inspect(FID, ["160.jpeg", "oddities"]).missing == [
        *((320, "webp"), (160, "webp")),
        *((320, "jpeg"), (160, "jpeg"), (80, "jpeg")),
    ]


def test_a_missing_preview_requires_one_rendering(store: PhotoStore, lease: Lease, redis: Redis, keys: Keys) -> None:
    store.put(lease, render())
    assert store.inspect(FID).missing == []
    redis.delete(keys.preview(FID))
    assert store.inspect(FID).missing == [(80, "webp")]


def test_later_formats_are_made_from_the_largest_stored_variant(store: PhotoStore, lease: Lease) -> None:
    store.put(lease, render(80, 160))
    assert store.inspect(FID).source == VariantSpec(160, "webp")
    store.put(lease, render(fmt="jpeg"))
    assert store.inspect(FID).source == VariantSpec(320, "jpeg")
    store.put(lease, render(320))
    assert store.inspect(FID).source == VariantSpec(320, "webp")
    source = store.get_source(FID, VariantSpec(320, "webp"))
    assert source
    assert (source.data, source.unique_id) == (b"320", "AQADunique")


def test_renewing_gives_every_stored_key_its_whole_ttl(store: PhotoStore, lease: Lease, redis: Redis) -> None:
    store.put(lease, render())
    store.put(lease, render(80, fmt="jpeg", preview=""))
    stored = [store.keys.preview(FID), store.keys.variant(FID, 320, "webp"), store.keys.variant(FID, 80, "jpeg")]
    for key in stored:
        redis.expire(key, 60)  # longer than a slow machine takes
    store.renew(FID)
    assert [redis.ttl(key) for key in stored] == [remaining(TTL, rel=0.1)] * 3


def test_renewing_creates_no_key(store: PhotoStore, redis: Redis) -> None:
    store.renew(FID)
    assert not list_keys(redis)


def test_a_put_removes_the_wanted_variant(store: PhotoStore, lease: Lease) -> None:
    for spec in (VariantSpec(80, "webp"), VariantSpec(160, "jpeg")):
        store.redis.sadd(store.keys.wanted(FID), str(spec))
    store.put(lease, render(80))
    assert store.redis.smembers(store.keys.wanted(FID)) == {b"160.jpeg"}


def test_a_put_is_announced_in_the_same_step(store: PhotoStore, lease: Lease, redis: Redis, keys: Keys) -> None:
    with listening(redis, keys.done) as hear:
        store.put(lease, render(80))
        assert hear() == f"{FID} stored".encode()


def test_an_outcome_is_announced(store: PhotoStore, redis: Redis, keys: Keys) -> None:
    with listening(redis, keys.done) as hear:
        store.announce(FID, "stored")
        assert hear() == f"{FID} stored".encode()
