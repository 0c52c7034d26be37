"""One worker per subject: a lease with a token."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis

from tests.conftest import wait_until
from tests.support.remaining import remaining
from warmer.errors import NotMine
from warmer.keys import Keys, Lane
from warmer.state.lease import LEASE_SECONDS, Claim, Claims, Forgotten

FID = "AgACAgIAAxkBAAIBcGab"


@pytest.fixture
def claims(redis: Redis, keys: Keys) -> Claims:
    return Claims(redis, keys)


def try_take(claims: Claims) -> Claim | None:
    try:
        return claims.take(FID, "warm")
    except NotMine:
        return None


def test_one_of_many_wins(claims: Claims) -> None:
    with ThreadPoolExecutor(32) as pool:
        won = [claim for claim in pool.map(lambda _: try_take(claims), range(200)) if claim]
    assert len(won) == 1


def test_the_lease_is_30_seconds(claims: Claims, redis: Redis, keys: Keys) -> None:
    claim = claims.take(FID, "warm")
    assert redis.get(keys.claim(FID)) == claim.token.encode()
    assert redis.pttl(keys.claim(FID)) / 1000 == remaining(LEASE_SECONDS)


def test_a_released_subject_can_be_taken_again(claims: Claims) -> None:
    claims.release(claim := claims.take(FID, "warm"))
    assert claim.is_released
    assert claims.take(FID, "warm").attempt == 1


def test_a_lease_that_ran_out_can_be_taken(redis: Redis, keys: Keys) -> None:
    claims = Claims(redis, keys, lease_seconds=0.05)
    claims.take(FID, "warm")
    assert wait_until(lambda: try_take(claims)).attempt == 2


def test_only_the_holder_releases(claims: Claims, redis: Redis, keys: Keys) -> None:
    late = claims.take(FID, "warm")
    redis.delete(keys.claim(FID))
    holder = claims.take(FID, "warm")
    with pytest.raises(NotMine, match="lease"):
        claims.release(late)
    assert not late.is_released
    assert redis.get(keys.claim(FID)) == holder.token.encode()


def test_who_lost_the_lease_takes_no_wish_away(claims: Claims, redis: Redis, keys: Keys) -> None:
    late = claims.take(FID, "warm")
    redis.set(keys.claim(FID), "another")
    redis.sadd(keys.wanted(FID), "160.jpeg")
    with pytest.raises(NotMine):
        claims.release(late, unless_wanted=True)
    assert redis.smembers(keys.wanted(FID)) == {b"160.jpeg"}


def test_a_wish_keeps_the_claim_in_the_same_step(claims: Claims, redis: Redis, keys: Keys) -> None:
    claim = claims.take(FID, "warm")
    redis.sadd(keys.wanted(FID), "160.jpeg", "80.avif")
    assert claims.release(claim, unless_wanted=True) == ("160.jpeg", "80.avif")
    assert (claim.is_released, redis.exists(keys.claim(FID), keys.wanted(FID))) == (False, 1)


def test_the_rounds_go_on_as_long_as_somebody_wants_more(claims: Claims, redis: Redis, keys: Keys) -> None:
    claim, seen = claims.take(FID, "warm"), []
    for wanted in claims.rounds(claim):
        seen.append(wanted)
        if len(seen) < 3:
            redis.sadd(keys.wanted(FID), "160.jpeg")
    assert seen == [(), ("160.jpeg",), ("160.jpeg",)]
    assert claim.is_released


def test_the_first_round_brings_what_was_wanted_before(claims: Claims, redis: Redis, keys: Keys) -> None:
    redis.sadd(keys.wanted(FID), "160.jpeg")
    claim = claims.take(FID, "warm")
    assert next(claims.rounds(claim)) == ("160.jpeg",)
    assert redis.exists(keys.wanted(FID))  # it ends with the put that fulfils it


def test_a_plain_release_does_not_look_for_wishes(claims: Claims, redis: Redis, keys: Keys) -> None:
    claim = claims.take(FID, "warm")
    redis.sadd(keys.wanted(FID), "160.jpeg")
    assert claims.release(claim) == ()
    assert not list(redis.scan_iter("*"))


def test_attempts_count_claims_without_an_outcome(claims: Claims, redis: Redis, keys: Keys) -> None:
    for number in (1, 2, 3):
        assert claims.take(FID, "warm").attempt == number
        redis.delete(keys.claim(FID))
    assert redis.ttl(keys.attempts(FID)) == -1


def test_an_outcome_ends_the_count_and_the_asking(claims: Claims, redis: Redis, keys: Keys) -> None:
    redis.set(keys.asked(FID, "hot"), "1")
    redis.set(keys.asked(FID, "warm"), "1")
    claims.release(claims.take(FID, "hot"))
    assert list(redis.scan_iter("*")) == [keys.asked(FID, "warm").encode()]


def test_who_finds_it_held_ends_its_asking_and_counts_no_attempt(claims: Claims, redis: Redis, keys: Keys) -> None:
    claims.take(FID, "warm")
    redis.set(keys.asked(FID, "hot"), "1")
    with pytest.raises(NotMine, match="held"):
        claims.take(FID, "hot")
    assert not redis.exists(keys.asked(FID, "hot"))
    assert redis.get(keys.attempts(FID)) == b"1"


def test_a_forgotten_subject_cannot_be_taken_and_leaves_nothing(claims: Claims, redis: Redis, keys: Keys) -> None:
    redis.set(keys.forgotten(FID), "1")
    redis.set(keys.asked(FID, "hot"), "1")
    with pytest.raises(Forgotten):
        claims.take(FID, "hot")
    assert list(redis.scan_iter("*")) == [keys.forgotten(FID).encode()]


def test_one_forgotten_meanwhile_is_not_released(claims: Claims, redis: Redis, keys: Keys) -> None:
    claim = claims.take(FID, "warm")
    redis.set(keys.forgotten(FID), "1")
    with pytest.raises(Forgotten):
        claims.release(claim)


def test_a_hot_task_whose_asking_is_gone_is_stale(claims: Claims, redis: Redis, keys: Keys) -> None:
    with pytest.raises(NotMine, match="stale"):
        claims.check_needed(FID, "hot")
    redis.set(keys.asked(FID, "hot"), "1")
    claims.check_needed(FID, "hot")


def test_only_hot_tasks_become_stale(claims: Claims) -> None:
    claims.check_needed(FID, "warm")
    claims.check_needed(FID, "rewarm")


@pytest.mark.parametrize("lane", ["hot", "warm"])
def test_what_another_message_found_unavailable_is_not_tried_again(
    claims: Claims, redis: Redis, keys: Keys, lane: Lane
) -> None:
    redis.mset({keys.asked(FID, lane): "1", keys.unavailable(FID): "invalid-file-id"})
    with pytest.raises(NotMine, match="unavailable"):
        claims.check_needed(FID, lane)
    assert not redis.exists(keys.asked(FID, lane))
    claims.check_needed(FID, "rewarm")
