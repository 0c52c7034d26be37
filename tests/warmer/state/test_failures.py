"""The last failures with their reasons: limited in number, one per subject, and removed when it is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from redis import Redis

from tests.conftest import list_traces
from tests.warmer.flow.attempts import FID, USER, run
from warmer.errors import GaveUp, InvalidFileId, NoPhoto, UpstreamFailed, WarmerError
from warmer.flow.outcome import Outcome
from warmer.keys import STATS_SECONDS, Keys
from warmer.state.failures import MAX_KEPT, Failure, Failures, list_failures
from warmer.state.lease import Lease
from warmer.state.photos import PhotoStore
from warmer.state.stats import MinuteStats, sum_minutes
from warmer.wiring import WorkerContext


@pytest.fixture
def failures(redis: Redis) -> Iterator[Failures]:
    keys = Keys("failures")
    with closing(MinuteStats(redis, keys)) as stats:
        yield Failures(redis, keys, stats)


def list_all(failures: Failures) -> list[Failure]:
    return list_failures(failures.redis, failures.keys)


def count(failures: Failures) -> dict[str, int]:
    failures.stats.flush()
    return sum_minutes(failures.redis, failures.keys, 2)


def test_a_failure_is_listed_with_its_cause_reason_and_time(failures: Failures) -> None:
    before = failures.redis.time()[0]
    failures.note(FID, UpstreamFailed("getFile: 502"))
    [failure] = list_all(failures)
    assert (failure.subject, failure.cause, failure.reason) == (FID, "UpstreamFailed", "getFile: 502")
    assert before <= failure.at <= failures.redis.time()[0] + 1


def test_the_newest_failures_come_first_and_the_oldest_are_dropped(failures: Failures) -> None:
    for number in range(MAX_KEPT + 5):
        failures.note(f"{FID}{number:02}", InvalidFileId("getFile: 400"))
    for key in (failures.keys.failed, failures.keys.reasons):
        assert 24.9 * 3600 < failures.redis.ttl(key) <= 25 * 3600
    assert failures.redis.hlen(failures.keys.reasons) == MAX_KEPT == len(list_all(failures))


def test_a_failure_that_is_older_than_its_ttl_ends_with_the_next_one(failures: Failures) -> None:
    failures.note(FID, UpstreamFailed("getFile: 502"))
    failures.redis.zincrby(failures.keys.failed, -STATS_SECONDS - 60, FID)
    failures.note(USER, UpstreamFailed("getFile: 502"))
    assert [one.subject for one in list_all(failures)] == [USER]
    assert failures.redis.zrange(failures.keys.failed, 0, -1) == [USER.encode()]
    assert failures.redis.hkeys(failures.keys.reasons) == [USER.encode()]


def test_a_subject_is_listed_once_with_its_newest_failure(failures: Failures) -> None:
    failures.note(FID, UpstreamFailed("getFile: 502"))
    failures.note(FID, GaveUp("after 20 tries"))
    assert [(one.cause, one.reason) for one in list_all(failures)] == [("gave-up", "after 20 tries")]


def test_a_missing_photo_is_counted_by_cause_and_is_no_failure(failures: Failures) -> None:
    failures.note(USER, NoPhoto("none"))
    assert list_all(failures) == []
    assert count(failures) == {"unavailable:none": 1}


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (InvalidFileId("x"), {"failures": 1, "unavailable:invalid-file-id": 1}),
        (UpstreamFailed("x"), {"failures": 1}),
        (GaveUp("x"), {"unavailable:gave-up": 1}),
    ],
)
def test_failures_are_counted_and_giving_up_is_no_further_failure(
    failures: Failures, error: WarmerError, counted: dict[str, int]
) -> None:
    failures.note(FID, error)
    assert count(failures) == counted


@pytest.mark.parametrize("error", [InvalidFileId("getFile: 400"), UpstreamFailed("getFile: 502")])
def test_a_failed_attempt_is_listed(context: WorkerContext, error: WarmerError) -> None:
    run(context, error)
    assert [(one.subject, one.reason) for one in list_failures(context.redis, context.keys)] == [(FID, str(error))]


@pytest.mark.parametrize("error", [InvalidFileId("getFile: 400"), UpstreamFailed("getFile: 502")])
def test_forgetting_removes_the_failures_of_a_picture_and_of_a_profile(
    context: WorkerContext, error: WarmerError
) -> None:
    context.people.register(42, "Ann", FID)
    run(context, error)
    run(context, error, USER)
    assert len(list_failures(context.redis, context.keys)) == 2
    context.steps.forget.person(42)
    assert list_traces(context.redis, FID, USER) == []


@pytest.mark.parametrize("error", [InvalidFileId("getFile: 400"), UpstreamFailed("getFile: 502")])
def test_forgetting_during_the_work_leaves_no_failure(context: WorkerContext, error: WarmerError) -> None:
    assert run(context, error, meanwhile=lambda _: context.steps.store.forget(FID)).kind == "skipped"
    assert list_traces(context.redis, FID) == []


class ForgetfulStore(PhotoStore):
    """A store that forgets a subject right before or right after its negative cache entry is written."""

    forgets_before = True

    def put_unavailable(self, lease: Lease, cause: str, first_seconds: int, max_seconds: int) -> int:
        if self.forgets_before:
            self.forget(lease.subject)
        seconds = super().put_unavailable(lease, cause, first_seconds, max_seconds)
        self.forget(lease.subject)
        return seconds


@pytest.mark.parametrize("before", [True, False])
def test_forgetting_beside_the_negative_cache_write_leaves_no_failure(context: WorkerContext, before: bool) -> None:
    store = ForgetfulStore(context.redis, context.keys, context.settings.photo_sizes, ("webp",), 1000)
    store.forgets_before = before

    def work(_: Lease) -> Outcome:
        raise InvalidFileId("getFile: 400")

    assert replace(context.steps.attempts, store=store).run(FID, "warm", work).kind == "skipped"
    assert list_traces(context.redis, FID) == []


def test_an_entry_is_left_out_if_either_key_was_evicted(failures: Failures) -> None:
    failures.note(FID, InvalidFileId("x"))
    failures.redis.delete(failures.keys.reasons)
    assert list_all(failures) == []
    failures.note(f"{FID}2", InvalidFileId("x"))
    failures.redis.delete(failures.keys.failed)
    assert list_all(failures) == []


def test_reasons_whose_list_of_subjects_was_evicted_do_not_pile_up(failures: Failures) -> None:
    for number in range(5):
        failures.note(f"{FID}{number}", InvalidFileId("x"))
        failures.redis.delete(failures.keys.failed)
    failures.note(FID, InvalidFileId("x"))
    assert failures.redis.hkeys(failures.keys.reasons) == [FID.encode()]
