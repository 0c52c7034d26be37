"""What becomes of whatever happens while a worker holds a subject."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import listening
from tests.support.remaining import remaining
from warmer.errors import (
    DeadlineExceeded,
    InvalidFileId,
    NoPhoto,
    NotMine,
    Paused,
    Permanent,
    Postponed,
    TemporarilyUnavailable,
    TokenRejected,
    TooBig,
    UpstreamFailed,
    WarmerError,
)
from warmer.flow.attempt import BACKOFF_MAX_SECONDS, Hold
from warmer.keys import Lane, user_subject
from warmer.photo import Unavailable
from warmer.state.failures import Failures
from warmer.state.lease import Claim, Forgotten
from warmer.wiring import Workshop

FID, USER = "AgACAgIAAxkBAAIBcGab", user_subject(42)
LEASE = 31  # seconds until a subject whose worker died has its turn


def turn_of(shop: Workshop, subject: str = FID) -> float | None:
    """Seconds until the subject's turn, None if it has none."""
    score: Any = shop.redis.zscore(shop.keys.due, subject)
    seconds, micros = shop.redis.time()
    return None if score is None else float(score) - seconds - micros / 1e6


def run(
    shop: Workshop,
    error: BaseException | None = None,
    subject: str = FID,
    lane: Lane = "warm",
    meanwhile: Callable[[Claim], object] = lambda _: None,
) -> Claim:
    """One piece of work, in the middle of which something happens, and which ends so."""
    with shop.desk.hold(subject, lane) as claim:
        meanwhile(claim)
        if error:
            raise error
    return claim


def at_least(shop: Workshop) -> Workshop:
    """The same, where what is random is as small as it can be."""
    return spread(shop, min)


def at_most(shop: Workshop) -> Workshop:
    """The same, where what is random is as large as it can be."""
    return spread(shop, max)


def spread(shop: Workshop, uniform: Callable[[float, float], float]) -> Workshop:
    desk, failures = shop.desk, Failures(shop.redis, shop.keys, shop.stats)
    check_seconds = shop.settings.profile_check_every
    hold = Hold(desk.claims, shop.due, desk.store, shop.partners, failures, check_seconds, uniform)
    return replace(shop, desk=replace(desk, hold=hold))


def lose(shop: Workshop) -> Callable[[Claim], object]:
    """The lease runs out and another worker takes over."""
    return lambda claim: shop.redis.set(shop.keys.claim(claim.subject), "another")


def is_free(shop: Workshop, subject: str = FID) -> bool:
    return not shop.redis.exists(shop.keys.claim(subject), shop.keys.attempts(subject))


def keep(shop: Workshop, file_id: str | None = None) -> None:
    """Make the subject one of what the newest partners show."""
    shop.partners.register(42, "Ann", file_id)


def list_keys(shop: Workshop) -> set[str]:
    """All keys but the figures, which threads of apps that other tests opened may write at any time."""
    return {key.decode() for key in shop.redis.scan_iter("*") if b":stats:" not in key}


# While it lasts


def test_while_held_the_next_turn_is_the_end_of_the_lease(shop: Workshop) -> None:
    with shop.desk.hold(FID, "warm"):
        assert turn_of(shop) == remaining(LEASE)
        assert shop.redis.exists(shop.keys.claim(FID))


def test_who_finds_it_held_ends_and_leaves_a_turn(shop: Workshop) -> None:
    with shop.desk.hold(FID, "warm"), pytest.raises(NotMine, match="held"):
        run(shop)
    assert is_free(shop)


# Done


def test_what_nobody_of_the_newest_shows_lives_its_ttl_out(shop: Workshop) -> None:
    assert run(shop).outcome == "done"
    assert not list_keys(shop)


def test_what_the_newest_show_is_renewed_at_half_its_ttl(shop: Workshop) -> None:
    keep(shop, FID)
    run(shop)
    assert turn_of(shop) == remaining(shop.settings.photo_ttl / 2)


def test_the_profile_of_the_newest_is_checked_again(shop: Workshop) -> None:
    keep(shop)
    for least_or_most, share in ((at_least, 0.9), (at_most, 1.1)):
        run(least_or_most(shop), subject=USER)
        assert turn_of(shop, USER) == remaining(share * shop.settings.profile_check_every)


def test_a_profile_that_is_found_ends_its_memories(shop: Workshop) -> None:
    run(shop, NoPhoto("m"), USER)
    run(shop, UpstreamFailed("m"), USER)
    run(shop, subject=USER)
    assert list_keys(shop) == {shop.keys.failed, shop.keys.reasons}  # it did fail


# Permanent


@pytest.mark.parametrize("error", [NoPhoto("m"), InvalidFileId("m"), TooBig("m")])
def test_a_permanent_error_is_remembered_and_not_tried_again(shop: Workshop, error: Permanent) -> None:
    claim = run(shop, error)
    assert claim.outcome.startswith(f"unavailable: {error.cause}")
    assert shop.desk.store.get_unavailable(FID) == Unavailable(error.cause)
    assert shop.redis.ttl(shop.keys.unavailable(FID)) == remaining(error.memory_seconds)
    assert is_free(shop)
    assert turn_of(shop) is None


def test_the_newest_are_looked_at_again_when_the_memory_has_passed_and_not_before(shop: Workshop) -> None:
    keep(shop, FID)
    run(shop, InvalidFileId("m"))
    assert turn_of(shop) == remaining(InvalidFileId.memory_seconds)


def test_a_profile_without_a_photo_is_checked_again_in_its_time(shop: Workshop) -> None:
    keep(shop)
    run(shop, NoPhoto("m"), USER)
    assert turn_of(shop, USER) == remaining(shop.settings.profile_check_every)


# Transient


def test_what_only_a_client_wanted_is_let_go_when_there_is_no_token(shop: Workshop) -> None:
    run(shop, Postponed("m"), lane="hot")
    assert turn_of(shop) is None
    assert is_free(shop)


def test_what_was_promised_before_a_client_came_is_not_let_go(shop: Workshop) -> None:
    shop.due.set(FID, 60)
    run(shop, Postponed("m"), lane="hot")
    assert turn_of(shop) == remaining(1)


@pytest.mark.parametrize("seconds", [0, 5, 31.5])
def test_what_somebody_else_wants_meanwhile_is_not_let_go(shop: Workshop, seconds: float) -> None:
    run(shop, Postponed("m"), lane="hot", meanwhile=lambda _: shop.due.set(FID, seconds))
    assert turn_of(shop) is not None


def test_what_is_kept_is_not_let_go(shop: Workshop) -> None:
    keep(shop, FID)
    run(shop, Postponed("m"), lane="hot")
    assert turn_of(shop) == remaining(1)


@pytest.mark.parametrize("kind", [Postponed, Paused, TokenRejected])
def test_who_has_to_wait_waits_as_long_as_it_was_told_and_it_is_no_failure(shop: Workshop, kind: type[Any]) -> None:
    assert run(at_least(shop), kind("m", retry_after=40)).outcome == "postponed: m, again in 40.0 s"
    assert turn_of(shop) == remaining(40)
    assert run(at_most(shop), kind("m", retry_after=40)).outcome == "postponed: m, again in 44.0 s"
    assert turn_of(shop) == remaining(44)
    assert list_keys(shop) == {shop.keys.due}


def test_without_a_time_to_wait_it_is_about_a_second(shop: Workshop) -> None:
    outcomes = [run(one, Postponed("m")).outcome for one in (at_least(shop), at_most(shop))]
    assert outcomes == ["postponed: m, again in 1.0 s", "postponed: m, again in 1.1 s"]


def test_the_backoff_grows_with_each_failure(shop: Workshop) -> None:
    for failures in range(1, 13):
        least_or_most, share = (at_least, 0.8) if failures % 2 else (at_most, 1.2)
        expected = share * min(2**failures, BACKOFF_MAX_SECONDS)
        assert run(least_or_most(shop), UpstreamFailed("m")).outcome == f"postponed: m, again in {expected:.1f} s"
        assert turn_of(shop) == remaining(expected)
    assert is_free(shop)


def test_a_deadline_that_was_exceeded_is_a_failure(shop: Workshop) -> None:
    run(shop, DeadlineExceeded("m"))
    assert shop.redis.get(shop.keys.failures(FID)) == b"1"


def test_failures_are_forgiven_after_a_day(shop: Workshop) -> None:
    run(shop, UpstreamFailed("m"))
    assert shop.redis.ttl(shop.keys.failures(FID)) == remaining(86_400)


def test_temporarily_unavailable_is_given_up_at_the_third_try(shop: Workshop) -> None:
    outcomes = [run(shop, TemporarilyUnavailable("m")).outcome.split(":")[0] for _ in range(3)]
    assert outcomes == ["postponed", "postponed", "unavailable"]
    assert shop.desk.store.get_unavailable(FID) == Unavailable("gave-up")
    assert shop.redis.ttl(shop.keys.unavailable(FID)) == remaining(3600)
    assert turn_of(shop) is None


def test_other_failures_are_given_up_much_later_and_for_no_longer(shop: Workshop) -> None:
    for _ in range(UpstreamFailed.tries):
        assert shop.desk.store.get_unavailable(FID) is None
        run(shop, UpstreamFailed("m"))
    assert shop.redis.ttl(shop.keys.unavailable(FID)) == remaining(3600)


def test_after_it_was_given_up_it_is_tried_as_often_again(shop: Workshop) -> None:
    for _ in range(TemporarilyUnavailable.tries):
        run(shop, TemporarilyUnavailable("m"))
    shop.redis.delete(shop.keys.unavailable(FID))
    assert run(shop, TemporarilyUnavailable("m")).outcome.startswith("postponed")


# Neither


def test_a_bug_leaves_the_claim_to_its_lease_and_counts_as_a_crash(shop: Workshop) -> None:
    with pytest.raises(ZeroDivisionError):
        run(shop, ZeroDivisionError())
    assert turn_of(shop) == remaining(LEASE)
    assert shop.redis.exists(shop.keys.claim(FID))
    assert shop.redis.get(shop.keys.attempts(FID)) == b"1"


def crash(shop: Workshop, times: int = 1) -> None:
    """As if so many workers had been killed while at it, and their leases had run out."""
    for _ in range(times):
        with pytest.raises(SystemExit):
            run(shop, SystemExit())
        shop.redis.delete(shop.keys.claim(FID))


def test_after_three_crashes_it_is_given_up_for_an_hour(shop: Workshop) -> None:
    crash(shop, 3)
    with pytest.raises(NotMine, match="three times"):
        run(shop)
    assert shop.desk.store.get_unavailable(FID) == Unavailable("crashed")
    assert shop.redis.ttl(shop.keys.unavailable(FID)) == remaining(3600)
    assert is_free(shop)
    assert turn_of(shop) is None


def test_two_crashes_are_forgiven_by_an_outcome(shop: Workshop) -> None:
    for _ in range(3):
        crash(shop, 2)
        run(shop)
    assert shop.desk.store.get_unavailable(FID) is None


def test_what_crashes_and_is_kept_has_its_next_turn_after_the_hour(shop: Workshop) -> None:
    keep(shop, FID)
    crash(shop, 3)
    with pytest.raises(NotMine):
        run(shop)
    assert turn_of(shop) == remaining(3600)


# Lost and forgotten


@pytest.mark.parametrize(
    "error", [None, NoPhoto("m"), UpstreamFailed("m"), Postponed("m"), TemporarilyUnavailable("m")]
)
def test_who_lost_the_lease_writes_nothing(shop: Workshop, error: WarmerError | None) -> None:
    keep(shop, FID)
    before = list_keys(shop) | {shop.keys.claim(FID), shop.keys.attempts(FID), shop.keys.due}
    with pytest.raises(NotMine, match="lease"):
        run(shop, error, meanwhile=lose(shop))
    assert list_keys(shop) - {shop.keys.failed, shop.keys.reasons} == before  # that it failed is noted
    assert shop.redis.get(shop.keys.claim(FID)) == b"another"


def test_who_lost_the_lease_takes_nobodys_turn_away(shop: Workshop) -> None:
    with pytest.raises(NotMine):
        run(shop, NoPhoto("m"), meanwhile=lose(shop))
    assert turn_of(shop) == remaining(LEASE)


@pytest.mark.parametrize("subject", [FID, USER])
@pytest.mark.parametrize(
    "error", [None, NoPhoto("m"), UpstreamFailed("m"), Postponed("m"), TemporarilyUnavailable("m")]
)
def test_one_forgotten_meanwhile_leaves_only_its_tombstone(
    shop: Workshop, subject: str, error: WarmerError | None
) -> None:
    with pytest.raises(Forgotten):
        run(shop, error, subject, meanwhile=lambda _: shop.desk.store.forget(subject))
    assert list_keys(shop) == {shop.keys.forgotten(subject)}


def test_one_forgotten_after_its_release_gets_no_turn_either(shop: Workshop) -> None:
    keep(shop)

    def end(claim: Claim) -> None:
        shop.desk.claims.release(claim)
        shop.desk.store.forget(USER)

    with pytest.raises(Forgotten):
        run(shop, subject=USER, meanwhile=end)
    assert turn_of(shop, USER) is None


def test_a_forgotten_one_is_not_worked_on(shop: Workshop) -> None:
    shop.desk.store.forget(FID)
    with pytest.raises(Forgotten):
        run(shop)
    assert list_keys(shop) == {shop.keys.forgotten(FID)}


# Whoever waits


@pytest.mark.parametrize(
    ("error", "lane", "said"),
    [
        (None, "warm", "done"),
        (NoPhoto("m"), "warm", "unavailable"),
        (Postponed("m"), "hot", "postponed"),
        (UpstreamFailed("m"), "hot", "postponed"),
    ],
)
def test_whoever_waits_hears_how_it_ended(shop: Workshop, error: WarmerError | None, lane: Lane, said: str) -> None:
    with listening(shop.redis, shop.keys.done) as hear:
        run(shop, error, lane=lane)
        assert hear() == f"{FID} {said}".encode()


def test_a_failure_of_an_eager_warming_is_not_said_to_whoever_waits_for_the_hot_one(shop: Workshop) -> None:
    with listening(shop.redis, shop.keys.done) as hear:
        run(shop, UpstreamFailed("m"))
        run(shop)
        assert hear() == f"{FID} done".encode()
