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
from warmer.flow.attempt import BACKOFF_MAX_SECONDS, Attempts
from warmer.keys import Lane, user_subject
from warmer.photo import Unavailable
from warmer.state.failures import Failures
from warmer.state.lease import Forgotten, Lease
from warmer.wiring import WorkerContext

FID, USER = "AgACAgIAAxkBAAIBcGab", user_subject(42)
LEASE = 31  # seconds until a subject whose worker died has its turn


def turn_of(context: WorkerContext, subject: str = FID) -> float | None:
    """Seconds until the subject's turn, None if it has none."""
    score: Any = context.redis.zscore(context.keys.schedule, subject)
    seconds, micros = context.redis.time()
    return None if score is None else float(score) - seconds - micros / 1e6


def run(
    context: WorkerContext,
    error: BaseException | None = None,
    subject: str = FID,
    lane: Lane = "warm",
    meanwhile: Callable[[Lease], object] = lambda _: None,
) -> Lease:
    """One piece of work, in the middle of which something happens, and which ends so."""
    with context.steps.hold(subject, lane) as lease:
        meanwhile(lease)
        if error:
            raise error
    return lease


def at_least(context: WorkerContext) -> WorkerContext:
    """The same, where what is random is as small as it can be."""
    return spread(context, min)


def at_most(context: WorkerContext) -> WorkerContext:
    """The same, where what is random is as large as it can be."""
    return spread(context, max)


def spread(context: WorkerContext, uniform: Callable[[float, float], float]) -> WorkerContext:
    steps, failures = context.steps, Failures(context.redis, context.keys, context.stats)
    check_seconds = context.settings.profile_check_every
    hold = Attempts(steps.leases, context.schedule, steps.store, context.partners, failures, check_seconds, uniform)
    return replace(context, steps=replace(steps, hold=hold))


def lose(context: WorkerContext) -> Callable[[Lease], object]:
    """The lease runs out and another worker takes over."""
    return lambda lease: context.redis.set(context.keys.lease(lease.subject), "another")


def is_free(context: WorkerContext, subject: str = FID) -> bool:
    return not context.redis.exists(context.keys.lease(subject), context.keys.crashes(subject))


def keep(context: WorkerContext, file_id: str | None = None) -> None:
    """Make the subject one of what the newest partners show."""
    context.partners.register(42, "Ann", file_id)


def list_keys(context: WorkerContext) -> set[str]:
    """All keys but the figures, which threads of apps that other tests opened may write at any time."""
    return {key.decode() for key in context.redis.scan_iter("*") if b":stats:" not in key}


# While it lasts


def test_while_held_the_next_turn_is_the_end_of_the_lease(context: WorkerContext) -> None:
    with context.steps.hold(FID, "warm"):
        assert turn_of(context) == remaining(LEASE)
        assert context.redis.exists(context.keys.lease(FID))


def test_who_finds_it_held_ends_and_leaves_a_turn(context: WorkerContext) -> None:
    with context.steps.hold(FID, "warm"), pytest.raises(NotMine, match="held"):
        run(context)
    assert is_free(context)


# Done


def test_what_nobody_of_the_newest_shows_lives_its_ttl_out(context: WorkerContext) -> None:
    assert run(context).outcome == "done"
    assert not list_keys(context)


def test_what_the_newest_show_is_renewed_at_half_its_ttl(context: WorkerContext) -> None:
    keep(context, FID)
    run(context)
    assert turn_of(context) == remaining(context.settings.photo_ttl / 2)


def test_the_profile_of_the_newest_is_checked_again(context: WorkerContext) -> None:
    keep(context)
    for least_or_most, share in ((at_least, 0.9), (at_most, 1.1)):
        run(least_or_most(context), subject=USER)
        assert turn_of(context, USER) == remaining(share * context.settings.profile_check_every)


def test_a_profile_that_is_found_ends_its_memories(context: WorkerContext) -> None:
    run(context, NoPhoto("m"), USER)
    run(context, UpstreamFailed("m"), USER)
    run(context, subject=USER)
    assert list_keys(context) == {context.keys.failed, context.keys.reasons}  # it did fail


# Permanent


@pytest.mark.parametrize("error", [NoPhoto("m"), InvalidFileId("m"), TooBig("m")])
def test_a_permanent_error_is_remembered_and_not_tried_again(context: WorkerContext, error: Permanent) -> None:
    lease = run(context, error)
    assert lease.outcome.startswith(f"unavailable: {error.cause}")
    assert context.steps.store.get_unavailable(FID) == Unavailable(error.cause)
    assert context.redis.ttl(context.keys.unavailable(FID)) == remaining(error.memory_seconds)
    assert is_free(context)
    assert turn_of(context) is None


def test_the_newest_are_looked_at_again_when_the_memory_has_passed_and_not_before(context: WorkerContext) -> None:
    keep(context, FID)
    run(context, InvalidFileId("m"))
    assert turn_of(context) == remaining(InvalidFileId.memory_seconds)


def test_a_profile_without_a_photo_is_checked_again_in_its_time(context: WorkerContext) -> None:
    keep(context)
    run(context, NoPhoto("m"), USER)
    assert turn_of(context, USER) == remaining(context.settings.profile_check_every)


# Transient


def test_what_only_a_client_wanted_is_let_go_when_there_is_no_token(context: WorkerContext) -> None:
    run(context, Postponed("m"), lane="hot")
    assert turn_of(context) is None
    assert is_free(context)


def test_what_was_promised_before_a_client_came_is_not_let_go(context: WorkerContext) -> None:
    context.schedule.set(FID, 60)
    run(context, Postponed("m"), lane="hot")
    assert turn_of(context) == remaining(1)


@pytest.mark.parametrize("seconds", [0, 5, 31.5])
def test_what_somebody_else_wants_meanwhile_is_not_let_go(context: WorkerContext, seconds: float) -> None:
    run(context, Postponed("m"), lane="hot", meanwhile=lambda _: context.schedule.set(FID, seconds))
    assert turn_of(context) is not None


def test_what_is_kept_is_not_let_go(context: WorkerContext) -> None:
    keep(context, FID)
    run(context, Postponed("m"), lane="hot")
    assert turn_of(context) == remaining(1)


@pytest.mark.parametrize("kind", [Postponed, Paused, TokenRejected])
def test_who_has_to_wait_waits_as_long_as_it_was_told_and_it_is_no_failure(
    context: WorkerContext, kind: type[Any]
) -> None:
    assert run(at_least(context), kind("m", retry_after=40)).outcome == "postponed: m, again in 40.0 s"
    assert turn_of(context) == remaining(40)
    assert run(at_most(context), kind("m", retry_after=40)).outcome == "postponed: m, again in 44.0 s"
    assert turn_of(context) == remaining(44)
    assert list_keys(context) == {context.keys.schedule}


def test_without_a_time_to_wait_it_is_about_a_second(context: WorkerContext) -> None:
    outcomes = [run(one, Postponed("m")).outcome for one in (at_least(context), at_most(context))]
    assert outcomes == ["postponed: m, again in 1.0 s", "postponed: m, again in 1.1 s"]


def test_the_backoff_grows_with_each_failure(context: WorkerContext) -> None:
    for failures in range(1, 13):
        least_or_most, share = (at_least, 0.8) if failures % 2 else (at_most, 1.2)
        expected = share * min(2**failures, BACKOFF_MAX_SECONDS)
        assert run(least_or_most(context), UpstreamFailed("m")).outcome == f"postponed: m, again in {expected:.1f} s"
        assert turn_of(context) == remaining(expected)
    assert is_free(context)


def test_a_deadline_that_was_exceeded_is_a_failure(context: WorkerContext) -> None:
    run(context, DeadlineExceeded("m"))
    assert context.redis.get(context.keys.failures(FID)) == b"1"


def test_failures_are_forgiven_after_a_day(context: WorkerContext) -> None:
    run(context, UpstreamFailed("m"))
    assert context.redis.ttl(context.keys.failures(FID)) == remaining(86_400)


def test_temporarily_unavailable_is_given_up_at_the_third_try(context: WorkerContext) -> None:
    outcomes = [run(context, TemporarilyUnavailable("m")).outcome.split(":")[0] for _ in range(3)]
    assert outcomes == ["postponed", "postponed", "unavailable"]
    assert context.steps.store.get_unavailable(FID) == Unavailable("gave-up")
    assert context.redis.ttl(context.keys.unavailable(FID)) == remaining(3600)
    assert turn_of(context) is None


def test_other_failures_are_given_up_much_later_and_for_no_longer(context: WorkerContext) -> None:
    for _ in range(UpstreamFailed.tries):
        assert context.steps.store.get_unavailable(FID) is None
        run(context, UpstreamFailed("m"))
    assert context.redis.ttl(context.keys.unavailable(FID)) == remaining(3600)


def test_after_it_was_given_up_it_is_tried_as_often_again(context: WorkerContext) -> None:
    for _ in range(TemporarilyUnavailable.tries):
        run(context, TemporarilyUnavailable("m"))
    context.redis.delete(context.keys.unavailable(FID))
    assert run(context, TemporarilyUnavailable("m")).outcome.startswith("postponed")


# Neither


def test_a_bug_leaves_the_claim_to_its_lease_and_counts_as_a_crash(context: WorkerContext) -> None:
    with pytest.raises(ZeroDivisionError):
        run(context, ZeroDivisionError())
    assert turn_of(context) == remaining(LEASE)
    assert context.redis.exists(context.keys.lease(FID))
    assert context.redis.get(context.keys.crashes(FID)) == b"1"


def crash(context: WorkerContext, times: int = 1) -> None:
    """As if so many workers had been killed while at it, and their leases had run out."""
    for _ in range(times):
        with pytest.raises(SystemExit):
            run(context, SystemExit())
        context.redis.delete(context.keys.lease(FID))


def test_after_three_crashes_it_is_given_up_for_an_hour(context: WorkerContext) -> None:
    crash(context, 3)
    with pytest.raises(NotMine, match="three times"):
        run(context)
    assert context.steps.store.get_unavailable(FID) == Unavailable("crashed")
    assert context.redis.ttl(context.keys.unavailable(FID)) == remaining(3600)
    assert is_free(context)
    assert turn_of(context) is None


def test_two_crashes_are_forgiven_by_an_outcome(context: WorkerContext) -> None:
    for _ in range(3):
        crash(context, 2)
        run(context)
    assert context.steps.store.get_unavailable(FID) is None


def test_what_crashes_and_is_kept_has_its_next_turn_after_the_hour(context: WorkerContext) -> None:
    keep(context, FID)
    crash(context, 3)
    with pytest.raises(NotMine):
        run(context)
    assert turn_of(context) == remaining(3600)


# Lost and forgotten


@pytest.mark.parametrize(
    "error", [None, NoPhoto("m"), UpstreamFailed("m"), Postponed("m"), TemporarilyUnavailable("m")]
)
def test_who_lost_the_lease_writes_nothing(context: WorkerContext, error: WarmerError | None) -> None:
    keep(context, FID)
    before = list_keys(context) | {context.keys.lease(FID), context.keys.crashes(FID), context.keys.schedule}
    with pytest.raises(NotMine, match="lease"):
        run(context, error, meanwhile=lose(context))
    assert list_keys(context) - {context.keys.failed, context.keys.reasons} == before  # that it failed is noted
    assert context.redis.get(context.keys.lease(FID)) == b"another"


def test_who_lost_the_lease_takes_nobodys_turn_away(context: WorkerContext) -> None:
    with pytest.raises(NotMine):
        run(context, NoPhoto("m"), meanwhile=lose(context))
    assert turn_of(context) == remaining(LEASE)


@pytest.mark.parametrize("subject", [FID, USER])
@pytest.mark.parametrize(
    "error", [None, NoPhoto("m"), UpstreamFailed("m"), Postponed("m"), TemporarilyUnavailable("m")]
)
def test_one_forgotten_meanwhile_leaves_only_its_tombstone(
    context: WorkerContext, subject: str, error: WarmerError | None
) -> None:
    with pytest.raises(Forgotten):
        run(context, error, subject, meanwhile=lambda _: context.steps.store.forget(subject))
    assert list_keys(context) == {context.keys.forgotten(subject)}


def test_one_forgotten_after_its_release_gets_no_turn_either(context: WorkerContext) -> None:
    keep(context)

    def end(lease: Lease) -> None:
        context.steps.leases.release(lease)
        context.steps.store.forget(USER)

    with pytest.raises(Forgotten):
        run(context, subject=USER, meanwhile=end)
    assert turn_of(context, USER) is None


def test_a_forgotten_one_is_not_worked_on(context: WorkerContext) -> None:
    context.steps.store.forget(FID)
    with pytest.raises(Forgotten):
        run(context)
    assert list_keys(context) == {context.keys.forgotten(FID)}


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
def test_whoever_waits_hears_how_it_ended(
    context: WorkerContext, error: WarmerError | None, lane: Lane, said: str
) -> None:
    with listening(context.redis, context.keys.done) as hear:
        run(context, error, lane=lane)
        assert hear() == f"{FID} {said}".encode()


def test_a_failure_of_an_eager_warming_is_not_said_to_whoever_waits_for_the_hot_one(context: WorkerContext) -> None:
    with listening(context.redis, context.keys.done) as hear:
        run(context, UpstreamFailed("m"))
        run(context)
        assert hear() == f"{FID} done".encode()
