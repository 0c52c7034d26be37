"""One attempt at one subject: the consequences of each way in which it can end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import listening
from tests.support.backoff import end_backoffs, end_negatives
from tests.support.remaining import remaining
from warmer.errors import (
    DeadlineExceeded,
    InvalidFileId,
    NoPhoto,
    Paused,
    Permanent,
    Postponed,
    TemporarilyUnavailable,
    TokenRejected,
    TooBig,
    UpstreamFailed,
    WarmerError,
)
from warmer.flow.attempt import AttemptRunner
from warmer.flow.outcome import Outcome
from warmer.flow.retry import BACKOFF_MAX_SECONDS, NEGATIVE_CACHE_SECONDS, RETRIES
from warmer.keys import Lane, Subject
from warmer.photo import Unavailable
from warmer.state.failures import Failures
from warmer.state.lease import Lease
from warmer.state.outage import Outage
from warmer.wiring import WorkerContext

FID, USER = Subject("AgACAgIAAxkBAAIBcGab"), Subject.of_person(42)
LEASE = 31  # seconds until the next run of a subject whose worker died

Uniform = Callable[[float, float], float]


def get_next_run(context: WorkerContext, subject: str = FID) -> float | None:
    """Seconds until the next run of the subject, None if it has none."""
    score: Any = context.redis.zscore(context.keys.schedule, subject)
    seconds, micros = context.redis.time()
    return None if score is None else float(score) - seconds - micros / 1e6


def run(
    context: WorkerContext,
    error: BaseException | None = None,
    subject: Subject = FID,
    lane: Lane = "warm",
    meanwhile: Callable[[Lease], object] = lambda _: None,
    uniform: Uniform | None = None,
) -> Outcome:
    """Run one attempt, during which `meanwhile` happens and which ends with the error, if given.

    `uniform` replaces the randomness: `min` makes each delay as short as possible, `max` as long.
    """

    def work(lease: Lease) -> Outcome:
        meanwhile(lease)
        if error:
            raise error
        return Outcome("done")

    end_backoffs(context.redis)
    if uniform is None:
        return context.steps.attempts.run(subject, lane, work)
    steps, failures = context.steps, Failures(context.redis, context.keys, context.stats)
    check_seconds = context.settings.profile_check_every
    outage = Outage(context.redis, context.keys, context.schedule)
    runner = AttemptRunner(
        steps.leases,
        context.schedule,
        steps.store,
        context.people,
        failures,
        outage,
        context.budget,
        steps.attempts.cross_check,
        check_seconds,
        uniform,
    )
    return runner.run(subject, lane, work)


def lose(context: WorkerContext) -> Callable[[Lease], object]:
    """The lease expires and another worker takes over."""
    return lambda lease: context.redis.set(context.keys.lease(lease.subject), "another")


def is_free(context: WorkerContext, subject: str = FID) -> bool:
    return not context.redis.exists(context.keys.lease(subject), context.keys.crashes(subject))


def keep(context: WorkerContext, file_id: str | None = None) -> None:
    """Keep the subject warm: one of the newest partners shows it."""
    context.people.register(42, "Ann", file_id)


def list_keys(context: WorkerContext) -> set[str]:
    """List all keys except the figures, which threads of other tests' apps may write at any time."""
    return {key.decode() for key in context.redis.scan_iter("*") if b":stats:" not in key}


# During the attempt


def test_the_next_run_of_a_subject_in_progress_is_when_the_lease_expires(context: WorkerContext) -> None:
    def look(lease: Lease) -> None:
        assert get_next_run(context) == remaining(LEASE)
        assert context.redis.exists(context.keys.lease(lease.subject))

    assert run(context, meanwhile=look).kind == "done"


def test_a_worker_that_finds_the_lease_taken_exits_and_keeps_the_schedule(context: WorkerContext) -> None:
    lease = context.steps.leases.take(FID, "warm")
    assert run(context) == Outcome("skipped", "held by another worker")
    assert get_next_run(context) == remaining(LEASE)
    context.steps.leases.release(lease)


# Done


def test_a_picture_that_is_not_kept_warm_has_no_next_run(context: WorkerContext) -> None:
    assert run(context) == Outcome("done")
    assert not list_keys(context)


def test_a_picture_that_is_kept_warm_is_renewed_at_half_its_ttl(context: WorkerContext) -> None:
    keep(context, FID)
    run(context)
    assert get_next_run(context) == remaining(context.settings.photo_ttl / 2)


def test_a_profile_that_is_kept_warm_is_checked_again(context: WorkerContext) -> None:
    keep(context)
    for uniform, share in ((min, 0.9), (max, 1.1)):
        run(context, subject=USER, uniform=uniform)
        assert get_next_run(context, USER) == remaining(share * context.settings.profile_check_every)


def test_a_profile_that_is_found_leaves_the_negative_cache(context: WorkerContext) -> None:
    run(context, NoPhoto("m"), USER)
    end_negatives(context.redis)
    run(context, UpstreamFailed("m"), USER)
    run(context, subject=USER)
    assert list_keys(context) == {context.keys.failed, context.keys.reasons}  # the failures stay listed


# Permanent


@pytest.mark.parametrize("lane", ["hot", "warm", "rewarm"])
@pytest.mark.parametrize("kept", [True, False])
def test_a_message_for_a_subject_in_the_negative_cache_calls_no_work(
    context: WorkerContext, lane: Lane, kept: bool
) -> None:
    if kept:
        keep(context, FID)
    run(context, InvalidFileId("m"))
    context.schedule.set(FID, 0)  # published before the entry was made
    assert run(context, AssertionError(), lane=lane) == Outcome("skipped", "known to be unavailable")
    assert get_next_run(context) == (remaining(NEGATIVE_CACHE_SECONDS[InvalidFileId]) if kept else None)


@pytest.mark.parametrize("error", [NoPhoto("m"), InvalidFileId("m"), TooBig("m")])
def test_a_permanent_error_enters_the_negative_cache_and_has_no_next_run(
    context: WorkerContext, error: Permanent
) -> None:
    assert run(context, error) == Outcome("unavailable", f"{error.cause}, m")
    assert context.steps.store.get_unavailable(FID) == Unavailable(error.cause)
    assert context.redis.ttl(context.keys.unavailable(FID)) == remaining(NEGATIVE_CACHE_SECONDS[type(error)])
    assert is_free(context)
    assert get_next_run(context) is None


def test_a_picture_that_is_kept_warm_is_tried_again_when_its_negative_cache_entry_expires(
    context: WorkerContext,
) -> None:
    keep(context, FID)
    run(context, InvalidFileId("m"))
    assert get_next_run(context) == remaining(NEGATIVE_CACHE_SECONDS[InvalidFileId])


def test_a_profile_without_a_photo_that_is_kept_warm_is_checked_again(context: WorkerContext) -> None:
    keep(context)
    run(context, NoPhoto("m"), USER)
    assert get_next_run(context, USER) == remaining(context.settings.profile_check_every)


# Transient


def test_a_hot_job_without_a_token_is_dropped(context: WorkerContext) -> None:
    assert run(context, Postponed("m"), lane="hot") == Outcome("dropped", "m, until a client asks again")
    assert get_next_run(context) is None
    assert is_free(context)


def test_a_hot_job_is_not_dropped_if_its_subject_was_scheduled_before(context: WorkerContext) -> None:
    context.schedule.set(FID, 60)
    assert run(context, Postponed("m"), lane="hot").kind == "postponed"
    assert get_next_run(context) == remaining(1)


@pytest.mark.parametrize("seconds", [0, 5, 31.5])
def test_a_dropped_job_leaves_a_run_that_was_scheduled_meanwhile(context: WorkerContext, seconds: float) -> None:
    run(context, Postponed("m"), lane="hot", meanwhile=lambda _: context.schedule.set(FID, seconds))
    assert get_next_run(context) is not None


def test_a_hot_job_is_not_dropped_if_its_picture_is_kept_warm(context: WorkerContext) -> None:
    keep(context, FID)
    assert run(context, Postponed("m"), lane="hot").kind == "postponed"
    assert get_next_run(context) == remaining(1)


@pytest.mark.parametrize("kind", [Postponed, Paused, TokenRejected])
def test_an_error_that_says_when_to_retry_is_no_failure(context: WorkerContext, kind: type[Any]) -> None:
    assert str(run(context, kind("m", retry_after=40), uniform=min)) == "postponed: m, again in 40.0 s"
    assert get_next_run(context) == remaining(40)
    assert str(run(context, kind("m", retry_after=40), uniform=max)) == "postponed: m, again in 44.0 s"
    assert get_next_run(context) == remaining(44)
    assert list_keys(context) - {context.keys.outage("halt")} == {context.keys.schedule}


def test_an_error_that_does_not_say_when_to_retry_is_retried_after_about_a_second(context: WorkerContext) -> None:
    outcomes = [str(run(context, Postponed("m"), uniform=uniform)) for uniform in (min, max)]
    assert outcomes == ["postponed: m, again in 1.0 s", "postponed: m, again in 1.1 s"]


def test_the_backoff_grows_with_each_failure(context: WorkerContext) -> None:
    for failures in range(1, 13):
        uniform, share = (min, 0.8) if failures % 2 else (max, 1.2)
        expected = share * min(2**failures, BACKOFF_MAX_SECONDS)
        assert str(run(context, UpstreamFailed("m"), uniform=uniform)) == f"postponed: m, again in {expected:.1f} s"
        assert get_next_run(context) == remaining(expected)
    assert is_free(context)


def test_an_exceeded_deadline_counts_as_no_failure_of_the_picture(context: WorkerContext) -> None:
    assert run(context, DeadlineExceeded("m")).kind == "postponed"
    assert context.redis.get(context.keys.failures(FID)) is None


def test_temporarily_unavailable_is_given_up_at_the_third_try(context: WorkerContext) -> None:
    outcomes = [run(context, TemporarilyUnavailable("m")).kind for _ in range(3)]
    assert outcomes == ["postponed", "postponed", "unavailable"]
    assert context.steps.store.get_unavailable(FID) == Unavailable("gave-up")
    assert context.redis.ttl(context.keys.unavailable(FID)) == remaining(3600)
    assert get_next_run(context) is None


def test_other_failures_are_given_up_much_later(context: WorkerContext) -> None:
    for _ in range(RETRIES[UpstreamFailed].max_tries or 0):
        assert context.steps.store.get_unavailable(FID) is None
        run(context, UpstreamFailed("m"))
    assert context.redis.ttl(context.keys.unavailable(FID)) == remaining(3600)


def test_after_giving_up_the_count_starts_again(context: WorkerContext) -> None:
    for _ in range(RETRIES[TemporarilyUnavailable].max_tries or 0):
        run(context, TemporarilyUnavailable("m"))
    context.redis.delete(context.keys.unavailable(FID))
    assert run(context, TemporarilyUnavailable("m")).kind == "postponed"


# Lost and forgotten


@pytest.mark.parametrize(
    "error", [None, NoPhoto("m"), UpstreamFailed("m"), Postponed("m"), TemporarilyUnavailable("m")]
)
def test_a_worker_that_lost_the_lease_writes_nothing(context: WorkerContext, error: WarmerError | None) -> None:
    keep(context, FID)
    before = list_keys(context) | {context.keys.lease(FID), context.keys.schedule}
    assert run(context, error, meanwhile=lose(context)) == Outcome("skipped", "the lease expired")
    assert list_keys(context) - {context.keys.failed, context.keys.reasons} == before  # the failure is listed
    assert context.redis.get(context.keys.lease(FID)) == b"another"


def test_a_worker_that_lost_the_lease_leaves_the_schedule_alone(context: WorkerContext) -> None:
    run(context, NoPhoto("m"), meanwhile=lose(context))
    assert get_next_run(context) == remaining(LEASE)


@pytest.mark.parametrize("subject", [FID, USER])
@pytest.mark.parametrize(
    "error", [None, NoPhoto("m"), UpstreamFailed("m"), Postponed("m"), TemporarilyUnavailable("m")]
)
def test_a_subject_that_is_forgotten_meanwhile_leaves_only_its_tombstone(
    context: WorkerContext, subject: Subject, error: WarmerError | None
) -> None:
    outcome = run(context, error, subject, meanwhile=lambda _: context.steps.store.forget(subject))
    assert outcome == Outcome("skipped", "forgotten meanwhile")
    assert list_keys(context) == {context.keys.forgotten(subject), context.keys.tombstones}


def test_a_subject_that_is_forgotten_after_its_release_has_no_next_run(context: WorkerContext) -> None:
    keep(context)

    def end(lease: Lease) -> None:
        context.steps.leases.release(lease)
        context.steps.store.forget(USER)

    assert run(context, subject=USER, meanwhile=end) == Outcome("skipped", "forgotten since it was released")
    assert get_next_run(context, USER) is None


def test_a_forgotten_subject_gets_no_work(context: WorkerContext) -> None:
    context.steps.store.forget(FID)
    assert run(context) == Outcome("skipped", "forgotten")
    assert list_keys(context) == {context.keys.forgotten(FID), context.keys.tombstones}


# Waiting clients


@pytest.mark.parametrize(
    ("error", "lane", "said"),
    [
        (None, "warm", "done"),
        (NoPhoto("m"), "warm", "unavailable"),
        (Postponed("m"), "hot", "postponed"),
        (UpstreamFailed("m"), "hot", "postponed"),
    ],
)
def test_waiting_clients_receive_the_outcome(
    context: WorkerContext, error: WarmerError | None, lane: Lane, said: str
) -> None:
    with listening(context.redis, context.keys.done) as hear:
        run(context, error, lane=lane)
        assert hear() == f"{FID} {said}".encode()


def test_a_failure_of_an_eager_job_does_not_wake_clients_that_wait_for_the_hot_one(context: WorkerContext) -> None:
    with listening(context.redis, context.keys.done) as hear:
        run(context, UpstreamFailed("m"))
        run(context)
        assert hear() == f"{FID} done".encode()
