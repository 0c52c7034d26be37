"""Clients that wait while their picture backs off."""

from __future__ import annotations

import pytest

from faketelegram import FakeTelegram
from tests.warmer.flow.conftest import meanwhile
from tests.warmer.flow.outages import warm
from warmer.deadline import JobContext
from warmer.flow.steps import FlowSteps
from warmer.flow.warm import warm_photo
from warmer.photo import VariantSpec
from warmer.wiring import WorkerContext

JPEG = VariantSpec(160, "jpeg")
CALLS = {"getFile": 2, "download": 1}  # before the backoff


@pytest.fixture
def backing_off(context: WorkerContext, file_id: str, telegram: FakeTelegram) -> str:
    """A picture that is kept warm and lacks its largest size, which Telegram has just failed to give again."""
    warm(context, file_id)
    context.redis.delete(context.keys.variant(file_id, 320, "webp"), context.keys.path(file_id))
    context.people.register(1, "Ann", file_id)
    telegram.fail("getFile", "bad-gateway", times=None)
    assert warm(context, file_id).kind == "postponed"
    assert telegram.calls == CALLS
    return file_id


def want_early(context: WorkerContext, file_id: str, *wanted: VariantSpec, steps: FlowSteps | None = None) -> str:
    """Warm for clients that wait for these, although the picture backs off."""
    assert context.steps.leases.is_backing_off(file_id)
    context.redis.sadd(context.keys.wanted(file_id), *map(str, wanted))
    outcome = warm_photo(file_id, JobContext.start("hot", 0), steps or context.steps)
    [within_soon] = context.schedule.count_within(10)
    assert within_soon == 1
    return str(outcome)


def test_a_picture_that_backs_off_gets_what_needs_no_call(
    context: WorkerContext, backing_off: str, telegram: FakeTelegram
) -> None:
    assert want_early(context, backing_off, JPEG).startswith("done")
    assert context.steps.store.get(backing_off, *JPEG)
    assert context.steps.leases.is_backing_off(backing_off)
    assert telegram.calls == CALLS


def test_a_picture_that_backs_off_gets_nothing_that_needs_a_call(
    context: WorkerContext, backing_off: str, telegram: FakeTelegram
) -> None:
    assert want_early(context, backing_off, JPEG, VariantSpec(320, "jpeg")).startswith("postponed: too early")
    assert context.steps.store.get(backing_off, *JPEG) is None
    assert telegram.calls == CALLS


def test_what_a_client_wants_meanwhile_causes_no_call_for_a_picture_that_backs_off(
    context: WorkerContext, backing_off: str, telegram: FakeTelegram
) -> None:
    steps = meanwhile(context, "put", lambda: context.redis.sadd(context.keys.wanted(backing_off), "320.jpeg"))
    assert want_early(context, backing_off, JPEG, steps=steps).startswith("postponed: too early")
    assert context.steps.store.get(backing_off, *JPEG)
    assert not context.redis.exists(context.keys.lease(backing_off))
    assert telegram.calls == CALLS


def test_a_backoff_that_no_client_waits_in_lets_nobody_start(
    context: WorkerContext, backing_off: str, telegram: FakeTelegram
) -> None:
    context.redis.sadd(context.keys.wanted(backing_off), str(JPEG))
    assert str(warm_photo(backing_off, JobContext.start("warm", 0), context.steps)).startswith("postponed: too early")
    assert telegram.calls == CALLS
