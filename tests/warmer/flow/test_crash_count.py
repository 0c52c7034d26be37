"""Pictures that crash the worker that decodes them: counted, decoded alone, and given up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from redis.exceptions import RedisError

from tests.conftest import wait_until
from tests.support.remaining import remaining
from tests.warmer.flow.attempts import FID, LEASE, get_next_run, is_free, keep, lose, run
from warmer.errors import Postponed, Unreachable, UpstreamFailed, WarmerError
from warmer.flow.outcome import Outcome
from warmer.photo import Unavailable
from warmer.state.lease import Lease
from warmer.wiring import WorkerContext


def test_after_a_bug_the_lease_expires_and_counts_as_a_crash(context: WorkerContext) -> None:
    with pytest.raises(ZeroDivisionError):
        run(context, ZeroDivisionError())
    assert get_next_run(context) == remaining(LEASE)
    assert context.redis.exists(context.keys.lease(FID))
    assert context.redis.scard(context.keys.crashes(FID)) == 1


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_a_bug_is_raised_even_if_its_crash_cannot_be_counted(context: WorkerContext, is_forgotten: bool) -> None:
    with pytest.raises(ZeroDivisionError):
        run(
            context,
            ZeroDivisionError(),
            meanwhile=(lambda _: context.steps.store.forget(FID)) if is_forgotten else lose(context),
        )


def crash(context: WorkerContext, times: int = 1) -> None:
    """Act as if this many workers had ended while they decoded it and their leases had expired."""

    def decode(lease: Lease) -> None:
        with context.steps.decoding(lease):
            raise SystemExit

    for _ in range(times):
        with pytest.raises(SystemExit):
            run(context, meanwhile=decode)
        context.redis.delete(context.keys.lease(FID))


def test_after_three_crashes_the_subject_is_given_up_for_an_hour(context: WorkerContext) -> None:
    crash(context, 3)
    assert run(context) == Outcome("unavailable", "crashed, 3 workers ended with it")
    assert context.steps.store.get_unavailable(FID) == Unavailable("crashed")
    assert context.redis.ttl(context.keys.unavailable(FID)) == remaining(3600)
    assert is_free(context)
    assert get_next_run(context) is None


def test_the_search_that_the_operations_page_names_finds_crashed_pictures(context: WorkerContext) -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text("utf-8")
    (search,) = re.findall(r'^\| `result:"(.+?)"` \| a picture that crashed', page, re.MULTILINE)
    crash(context, 3)
    assert search in str(run(context))


def test_an_outcome_resets_the_crash_count(context: WorkerContext) -> None:
    for _ in range(3):
        crash(context, 2)
        run(context)
    assert context.steps.store.get_unavailable(FID) is None


@pytest.mark.parametrize("error", [UpstreamFailed("m"), Postponed("m"), Unreachable("m")])
def test_a_failure_that_is_no_outcome_leaves_the_crash_count(context: WorkerContext, error: WarmerError) -> None:
    for _ in range(2):
        crash(context)
        run(context, error)
    crash(context)
    assert run(context) == Outcome("unavailable", "crashed, 3 workers ended with it")


def test_a_failing_redis_counts_no_crash(context: WorkerContext) -> None:
    with pytest.raises(RedisError):
        run(context, RedisError())
    assert not context.redis.exists(context.keys.crashes(FID))


@contextmanager
def decoding_in_a_thread(context: WorkerContext, lease: Lease) -> Iterator[Event]:
    """Decode this picture in a thread until the block ends. Yields an event: the decoding has begun."""
    began, is_over = Event(), Event()

    def decode() -> None:
        with context.steps.decoding(lease):
            began.set()
            is_over.wait()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(decode)
        try:
            yield began
        finally:
            is_over.set()
            running.result()


def test_a_picture_with_a_crash_count_is_decoded_alone(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmer.wiring.TURN_SECONDS", 0.1)
    crash(context)
    alone = context.steps.leases.take(FID, "warm")
    other, third, fourth = (context.steps.leases.take(f"{FID}{number}", "warm") for number in range(3))
    with decoding_in_a_thread(context, other) as began:
        assert began.wait(60)
        with pytest.raises(Postponed), context.steps.decoding(alone):
            pass
        assert context.redis.scard(context.keys.crashes(FID)) == 1, "a picture that waits is counted"
        with decoding_in_a_thread(context, third) as also_began:
            assert also_began.wait(60), "two pictures without a crash count wait for each other"
    with context.steps.decoding(alone), pytest.raises(Postponed), context.steps.decoding(fourth):
        pass
    assert not context.redis.exists(context.keys.crashes(fourth.subject)), "a picture that waits is counted"


def test_a_picture_is_not_counted_before_its_turn(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmer.wiring.TURN_SECONDS", 60)
    crash(context)
    steps: Any = context.steps
    alone, other = (context.steps.leases.take(subject, "warm") for subject in (FID, f"{FID}0"))

    def decode() -> None:
        with context.steps.decoding(other):
            pass

    with ThreadPoolExecutor(1) as pool:
        with context.steps.decoding(alone):
            waiting = pool.submit(decode)
            wait_until(lambda: steps._decodes._waiting)
            assert not context.redis.exists(context.keys.crashes(other.subject))
        waiting.result()


def test_a_crashing_picture_that_is_kept_warm_is_tried_again_after_an_hour(context: WorkerContext) -> None:
    keep(context, FID)
    crash(context, 3)
    run(context)
    assert get_next_run(context) == remaining(3600)
