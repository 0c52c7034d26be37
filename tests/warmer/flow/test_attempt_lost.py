"""An attempt whose lease is lost or whose subject is forgotten meanwhile, and what waiting clients hear of its end."""

from __future__ import annotations

import pytest

from tests.conftest import listening
from tests.support.remaining import remaining
from tests.warmer.conftest import list_keys
from tests.warmer.flow.attempts import FID, LEASE, USER, get_next_run, keep, lose, run
from warmer.errors import NoPhoto, Paused, Postponed, TemporarilyUnavailable, UpstreamFailed, WarmerError
from warmer.flow.outcome import Outcome
from warmer.keys import Lane, Subject
from warmer.state.lease import Lease
from warmer.wiring import WorkerContext

ERRORS = [None, NoPhoto("m"), UpstreamFailed("m"), Postponed("m"), TemporarilyUnavailable("m")]


@pytest.mark.parametrize("error", ERRORS)
def test_a_worker_that_lost_the_lease_writes_nothing(context: WorkerContext, error: WarmerError | None) -> None:
    keep(context, FID)
    before = list_keys(context.redis) | {context.keys.lease(FID), context.keys.schedule}
    assert run(context, error, meanwhile=lose(context)) == Outcome("skipped", "the lease expired")
    assert list_keys(context.redis) - {context.keys.failed, context.keys.reasons} == before  # the failure is listed
    assert context.redis.get(context.keys.lease(FID)) == b"another"


def test_a_worker_that_lost_the_lease_leaves_the_schedule_alone(context: WorkerContext) -> None:
    run(context, NoPhoto("m"), meanwhile=lose(context))
    assert get_next_run(context) == remaining(LEASE)


@pytest.mark.parametrize("subject", [FID, USER])
@pytest.mark.parametrize("error", ERRORS)
def test_a_subject_that_is_forgotten_meanwhile_leaves_only_its_tombstone(
    context: WorkerContext, subject: Subject, error: WarmerError | None
) -> None:
    outcome = run(context, error, subject, meanwhile=lambda _: context.steps.store.forget(subject))
    assert outcome == Outcome("skipped", "forgotten meanwhile")
    assert list_keys(context.redis) == {context.keys.forgotten(subject), context.keys.tombstones}


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
    assert list_keys(context.redis) == {context.keys.forgotten(FID), context.keys.tombstones}


@pytest.mark.parametrize(
    ("error", "lane", "said"),
    [
        (None, "warm", "done"),
        (NoPhoto("m"), "warm", "unavailable"),
        (Postponed("m"), "hot", "postponed"),
        (Paused("m", retry_after=30), "hot", "postponed"),
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
