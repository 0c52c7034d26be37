"""One attempt at one subject: the consequences of each way in which it can end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.backoff import end_negatives
from tests.support.remaining import remaining
from tests.warmer.conftest import list_keys
from tests.warmer.flow.attempts import FID, LEASE, USER, get_next_run, is_free, keep, run
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
)
from warmer.flow.outcome import Outcome
from warmer.flow.retry import BACKOFF_MAX_SECONDS, NEGATIVE_CACHE_SECONDS, RETRIES
from warmer.keys import Lane
from warmer.photo import Unavailable
from warmer.state.lease import Lease
from warmer.wiring import WorkerContext

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
    assert not list_keys(context.redis)


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
    assert list_keys(context.redis) == {context.keys.failed, context.keys.reasons}  # the failures stay listed


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
    assert list_keys(context.redis) - {context.keys.outage("halt")} == {context.keys.schedule}


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


def test_temporarily_unavailable_is_given_up_at_the_third_try_and_then_the_count_starts_again(
    context: WorkerContext,
) -> None:
    outcomes = [run(context, TemporarilyUnavailable("m")).kind for _ in range(3)]
    assert outcomes == ["postponed", "postponed", "unavailable"]
    assert context.steps.store.get_unavailable(FID) == Unavailable("gave-up")
    assert context.redis.ttl(context.keys.unavailable(FID)) == remaining(3600)
    assert get_next_run(context) is None
    context.redis.delete(context.keys.unavailable(FID))
    assert run(context, TemporarilyUnavailable("m")).kind == "postponed"


def test_other_failures_are_given_up_much_later(context: WorkerContext) -> None:
    for _ in range(RETRIES[UpstreamFailed].max_tries or 0):
        assert context.steps.store.get_unavailable(FID) is None
        run(context, UpstreamFailed("m"))
    assert context.redis.ttl(context.keys.unavailable(FID)) == remaining(3600)
