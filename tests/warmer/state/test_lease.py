"""The lease: one worker per subject, held with a token."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError, TimeoutError
from redis.retry import Retry

from tests.conftest import wait_until
from tests.support.remaining import remaining
from warmer.errors import NotAnImage, NotMine, Postponed
from warmer.keys import LEASE_SECONDS, Keys, Lane, Subject
from warmer.photo import VariantSpec
from warmer.state.lease import Forgotten, KnownUnavailable, Lease, LeaseManager

FID = Subject("AgACAgIAAxkBAAIBcGab")


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


def test_only_the_holder_releases(leases: LeaseManager, redis: Redis, keys: Keys) -> None:
    late = leases.take(FID, "warm")
    redis.delete(keys.lease(FID))
    holder = leases.take(FID, "warm")
    with pytest.raises(NotMine, match="lease"):
        leases.release(late)
    assert not late.is_released
    assert redis.get(keys.lease(FID)) == holder.token.encode()


def test_a_worker_that_lost_the_lease_leaves_the_wanted_variants(
    leases: LeaseManager, redis: Redis, keys: Keys
) -> None:
    late = leases.take(FID, "warm")
    redis.set(keys.lease(FID), "another")
    redis.sadd(keys.wanted(FID), "160.jpeg")
    with pytest.raises(NotMine):
        leases.release(late, unless_wanted=True)
    assert redis.smembers(keys.wanted(FID)) == {b"160.jpeg"}


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


def end_process_in_decode(leases: LeaseManager) -> int:
    """Act as a worker that ends in the middle of decoding; its lease expires. Returns the crash count before."""
    lease = leases.take(FID, "warm")
    with pytest.raises(SystemExit), leases.counting_crash(lease):
        raise SystemExit
    leases.redis.delete(leases.keys.lease(FID))
    return lease.crash_count


def test_a_worker_that_ends_outside_of_decoding_counts_no_crash(leases: LeaseManager, redis: Redis, keys: Keys) -> None:
    leases.take(FID, "warm")
    redis.delete(keys.lease(FID))
    assert leases.take(FID, "warm").crash_count == 0


def test_the_crash_count_is_the_number_of_decodes_that_ended_their_process(
    leases: LeaseManager, redis: Redis, keys: Keys
) -> None:
    assert [end_process_in_decode(leases) for _ in range(3)] == [0, 1, 2]
    assert redis.ttl(keys.crashes(FID)) == -1


def test_a_crash_that_is_sent_twice_counts_once(leases: LeaseManager, redis: Redis, keys: Keys) -> None:
    lease = leases.take(FID, "warm")
    for _ in range(2):  # redis-py sends a command again after a read time-out, and the first may have come through
        leases.count_crash(lease)
    redis.delete(keys.lease(FID))
    assert leases.take(FID, "warm").crash_count == 1


@pytest.mark.parametrize("error", [Postponed("m"), NotAnImage("m"), RedisError(), ZeroDivisionError()])
def test_a_decode_that_fails_leaves_the_crash_count_as_it_was(leases: LeaseManager, error: Exception) -> None:
    end_process_in_decode(leases)
    lease = leases.take(FID, "warm")
    with pytest.raises(type(error)), leases.counting_crash(lease):
        raise error
    leases.release(lease, keep_crash_count=True)
    assert leases.take(FID, "warm").crash_count == 1


@pytest.mark.parametrize("loss", ["taken over", "run out", "forgotten"])
def test_a_worker_that_lost_the_lease_takes_its_own_crash_back_and_no_other(
    leases: LeaseManager, redis: Redis, keys: Keys, loss: str
) -> None:
    def lose() -> None:
        assert redis.smembers(keys.crashes(FID)) == crashes | {lease.token.encode()}
        redis.set(keys.forgotten(FID) if loss == "forgotten" else keys.lease(FID), "another")
        if loss == "run out":
            redis.delete(keys.lease(FID))
        raise ZeroDivisionError

    end_process_in_decode(leases)
    lease, crashes = leases.take(FID, "warm"), redis.smembers(keys.crashes(FID))
    with pytest.raises(ZeroDivisionError), leases.counting_crash(lease):
        lose()
    assert redis.smembers(keys.crashes(FID)) == crashes
    with pytest.raises(NotMine), leases.counting_crash(lease):
        pass
    assert redis.smembers(keys.crashes(FID)) == crashes


@contextmanager
def losing_redis_in_decode(leases: LeaseManager, lease: Lease, folder: Path) -> Iterator[None]:
    """Redis goes away in the middle of decoding, and is back after the block."""
    impatient = Retry(NoBackoff(), 0)
    with Redis(unix_socket_path=str(folder / "away"), retry=impatient) as away, pytest.MonkeyPatch.context() as patch:

        def put() -> None:
            patch.setattr(leases, "redis", away)
            away.ping()

        with pytest.raises(ConnectionError), leases.counting_crash(lease):
            put()
        yield


def test_a_crash_that_redis_keeps_while_it_is_away_is_taken_back_later(
    leases: LeaseManager, redis: Redis, keys: Keys, tmp_path: Path
) -> None:
    lease = leases.take(FID, "warm")
    with losing_redis_in_decode(leases, lease, tmp_path), pytest.raises(ConnectionError):
        leases.take_back_crashes()
    assert redis.smembers(keys.crashes(FID)) == {lease.token.encode()}
    leases.take_back_crashes()
    assert not redis.exists(keys.crashes(FID))


class UnheardLeases(LeaseManager):
    """Redis counts each crash, and its answer is lost."""

    def count_crash(self, lease: Lease) -> set[VariantSpec]:
        super().count_crash(lease)
        raise TimeoutError


def test_a_decode_that_does_not_begin_counts_no_crash(redis: Redis, keys: Keys) -> None:
    leases = UnheardLeases(redis, keys)
    with pytest.raises(TimeoutError), leases.counting_crash(leases.take(FID, "warm")):
        pass
    assert not redis.exists(keys.crashes(FID))


def test_a_decode_starts_with_the_variants_that_clients_want_by_then(
    leases: LeaseManager, redis: Redis, keys: Keys
) -> None:
    lease = leases.take(FID, "warm")
    redis.sadd(keys.wanted(FID), "160.jpeg", "malformed")
    with leases.counting_crash(lease) as wanted:
        assert wanted == {VariantSpec(160, "jpeg")}


def test_an_outcome_resets_the_crash_count_and_removes_the_enqueued_marker(
    leases: LeaseManager, redis: Redis, keys: Keys
) -> None:
    end_process_in_decode(leases)
    redis.set(keys.enqueued(FID, "hot"), "1")
    redis.set(keys.enqueued(FID, "warm"), "1")
    leases.release(leases.take(FID, "hot"))
    assert list(redis.scan_iter("*")) == [keys.enqueued(FID, "warm").encode()]


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


def test_a_hot_job_whose_enqueued_marker_is_gone_is_stale(leases: LeaseManager, redis: Redis, keys: Keys) -> None:
    assert leases.is_stale(FID, "hot")
    redis.set(keys.enqueued(FID, "hot"), "1")
    assert not leases.is_stale(FID, "hot")


def test_only_hot_jobs_become_stale(leases: LeaseManager) -> None:
    assert not leases.is_stale(FID, "warm")
    assert not leases.is_stale(FID, "rewarm")


@pytest.mark.parametrize("lane", ["hot", "warm", "rewarm"])
def test_a_subject_in_the_negative_cache_gets_no_lease(
    leases: LeaseManager, redis: Redis, keys: Keys, lane: Lane
) -> None:
    redis.set(keys.enqueued(FID, lane), "1")
    redis.set(keys.unavailable(FID), "invalid-file-id", ex=60)
    with pytest.raises(KnownUnavailable) as refused:
        leases.take(FID, lane)
    assert 50 < refused.value.seconds <= 60
    assert not redis.exists(keys.enqueued(FID, lane), keys.lease(FID))
