"""The lease: one worker per subject, held with a token."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from tests.conftest import wait_until
from tests.support.remaining import remaining
from tests.warmer.state.conftest import FID
from warmer.errors import NotMine
from warmer.keys import LEASE_SECONDS, Keys, Lane
from warmer.state.lease import Forgotten, KnownUnavailable, Lease, LeaseManager

LANES: tuple[Lane, ...] = ("hot", "warm", "rewarm")


def try_take(leases: LeaseManager) -> Lease | None:
    try:
        return leases.take(FID, "warm")
    except NotMine:
        return None


def test_one_of_many_workers_gets_the_lease(leases: LeaseManager) -> None:
    with ThreadPoolExecutor(32) as pool:
        won = [lease for lease in pool.map(lambda _: try_take(leases), range(200)) if lease]
    assert len(won) == 1


def test_a_lease_lasts_30_seconds(leases: LeaseManager, redis: Redis, keys: Keys) -> None:
    lease = leases.take(FID, "warm")
    assert redis.get(keys.lease(FID)) == lease.token.encode()
    assert redis.pttl(keys.lease(FID)) / 1000 == remaining(LEASE_SECONDS)


def test_a_released_subject_can_be_taken_again(leases: LeaseManager) -> None:
    leases.release(lease := leases.take(FID, "warm"))
    assert lease.is_released
    assert leases.take(FID, "warm").crash_count == 0


def test_an_expired_lease_can_be_taken(redis: Redis, keys: Keys) -> None:
    leases = LeaseManager(redis, keys, lease_seconds=0.05)
    leases.take(FID, "warm")
    assert wait_until(lambda: try_take(leases))


@pytest.mark.parametrize("unless_wanted", [False, True])
def test_only_the_holder_releases(leases: LeaseManager, redis: Redis, keys: Keys, unless_wanted: bool) -> None:
    late = leases.take(FID, "warm")
    redis.delete(keys.lease(FID))
    holder = leases.take(FID, "warm")
    redis.sadd(keys.wanted(FID), "160.jpeg")
    with pytest.raises(NotMine, match="lease"):
        leases.release(late, unless_wanted=unless_wanted)
    assert (late.is_released, redis.smembers(keys.wanted(FID))) == (False, {b"160.jpeg"})
    assert redis.get(keys.lease(FID)) == holder.token.encode()


def test_a_wanted_variant_keeps_the_lease_in_the_same_step(leases: LeaseManager, redis: Redis, keys: Keys) -> None:
    lease = leases.take(FID, "warm")
    redis.sadd(keys.wanted(FID), "160.jpeg", "80.avif")
    assert leases.release(lease, unless_wanted=True) == ("160.jpeg", "80.avif")
    assert (lease.is_released, redis.exists(keys.lease(FID), keys.wanted(FID))) == (False, 1)


def test_the_work_continues_while_clients_want_more_variants(leases: LeaseManager, redis: Redis, keys: Keys) -> None:
    lease, seen = leases.take(FID, "warm"), []
    for wanted in leases.iterate_wanted(lease):
        seen.append(wanted)
        if len(seen) < 3:
            redis.sadd(keys.wanted(FID), "160.jpeg")
    assert seen == [(), ("160.jpeg",), ("160.jpeg",)]
    assert lease.is_released


def test_the_work_starts_with_the_variants_that_clients_wanted_before(
    leases: LeaseManager, redis: Redis, keys: Keys
) -> None:
    redis.sadd(keys.wanted(FID), "160.jpeg")
    lease = leases.take(FID, "warm")
    assert next(leases.iterate_wanted(lease)) == ("160.jpeg",)
    assert redis.exists(keys.wanted(FID))  # the put of that variant removes it


def test_a_plain_release_ignores_wanted_variants(leases: LeaseManager, redis: Redis, keys: Keys) -> None:
    lease = leases.take(FID, "warm")
    redis.sadd(keys.wanted(FID), "160.jpeg")
    assert leases.release(lease) == ()
    assert not list(redis.scan_iter("*"))


def test_a_worker_that_finds_the_lease_taken_removes_its_enqueued_marker_and_counts_no_crash(
    leases: LeaseManager, redis: Redis, keys: Keys
) -> None:
    leases.take(FID, "warm")
    redis.set(keys.enqueued(FID, "hot"), "1")
    with pytest.raises(NotMine, match="held"):
        leases.take(FID, "hot")
    assert not redis.exists(keys.enqueued(FID, "hot"))
    assert not redis.exists(keys.crashes(FID))


def test_a_forgotten_subject_cannot_be_taken_and_leaves_nothing(leases: LeaseManager, redis: Redis, keys: Keys) -> None:
    redis.set(keys.forgotten(FID), "1")
    redis.set(keys.enqueued(FID, "hot"), "1")
    with pytest.raises(Forgotten):
        leases.take(FID, "hot")
    assert list(redis.scan_iter("*")) == [keys.forgotten(FID).encode()]


def test_a_lease_whose_subject_is_forgotten_meanwhile_is_not_released(
    leases: LeaseManager, redis: Redis, keys: Keys
) -> None:
    lease = leases.take(FID, "warm")
    redis.set(keys.forgotten(FID), "1")
    with pytest.raises(Forgotten):
        leases.release(lease)


def test_a_hot_job_alone_whose_enqueued_marker_is_gone_is_stale(leases: LeaseManager, redis: Redis, keys: Keys) -> None:
    assert [leases.is_stale(FID, lane) for lane in LANES] == [True, False, False]
    redis.set(keys.enqueued(FID, "hot"), "1")
    assert not leases.is_stale(FID, "hot")


@pytest.mark.parametrize("lane", LANES)
def test_a_subject_in_the_negative_cache_gets_no_lease(
    leases: LeaseManager, redis: Redis, keys: Keys, lane: Lane
) -> None:
    redis.set(keys.enqueued(FID, lane), "1")
    redis.set(keys.unavailable(FID), "invalid-file-id", ex=60)
    with pytest.raises(KnownUnavailable) as refused:
        leases.take(FID, lane)
    assert refused.value.seconds == remaining(60)
    assert not redis.exists(keys.enqueued(FID, lane), keys.lease(FID))
