"""The crash count of a lease: each decode that ended its process, and no other end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError, TimeoutError
from redis.retry import Retry

from tests.warmer.state.conftest import FID
from warmer.errors import NotAnImage, NotMine, Postponed
from warmer.keys import Keys
from warmer.photo import VariantSpec
from warmer.state.lease import Lease, LeaseManager


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
