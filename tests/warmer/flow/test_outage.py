"""While Telegram is unreachable nothing counts against a picture, and everything is due when it answers again."""

from __future__ import annotations

from typing import Any

import pytest

from faketelegram import FakeTelegram
from tests.conftest import listening, make_picture
from warmer.deadline import JobContext
from warmer.flow.outcome import Outcome
from warmer.flow.warm import warm_photo
from warmer.keys import Lane
from warmer.wiring import WorkerContext

CALLS = ("getFile", "download")
ILL = ["internal-error", "bad-gateway", "connection-reset"]


def warm(context: WorkerContext, file_id: str, lane: Lane = "warm") -> Outcome:
    return warm_photo(file_id, JobContext.start(lane, 2), context.steps)


def pass_time(context: WorkerContext, *file_ids: str) -> None:
    """As if the backoff of these pictures were over, and the time until the next probe."""
    context.redis.delete(*(context.keys.backoff(file_id) for file_id in file_ids))
    if context.redis.hexists(context.keys.budget, "probe_at"):
        context.redis.hset(context.keys.budget, "probe_at", "0")


def break_telegram(telegram: FakeTelegram, fault: str) -> None:
    for method in CALLS:
        telegram.fail(method, fault, times=None)


@pytest.fixture
def file_ids(telegram: FakeTelegram) -> list[str]:
    return [telegram.world.add_file(make_picture(color=color)) for color in ("red", "teal", "navy", "gold")]


def due_soon(context: WorkerContext) -> dict[str, float]:
    """The seconds until the next run of each subject."""
    seconds, micros = context.redis.time()
    runs: Any = context.redis.zrange(context.keys.schedule, 0, -1, withscores=True)
    return {subject.decode(): at - seconds - micros / 1e6 for subject, at in runs}


@pytest.mark.parametrize("fault", ILL)
def test_twenty_asks_within_a_backoff_make_one_call_and_no_negative_entry(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str], fault: str
) -> None:
    break_telegram(telegram, fault)
    outcomes = [warm(context, file_ids[0], "hot") for _ in range(20)]
    assert {outcome.kind for outcome in outcomes} == {"postponed"}
    assert telegram.calls.total() == 1
    assert context.steps.store.get_unavailable(file_ids[0]) is None
    assert due_soon(context)[file_ids[0]] < 4


def test_a_client_that_asks_within_a_backoff_is_told_at_once(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    break_telegram(telegram, "bad-gateway")
    warm(context, file_ids[0], "hot")
    with listening(context.redis, context.keys.done) as hear:
        warm(context, file_ids[0], "hot")
        assert hear() == f"{file_ids[0]} postponed".encode()


def test_a_picture_survives_any_number_of_failures_of_an_ill_telegram(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    break_telegram(telegram, "bad-gateway")
    for _ in range(30):
        assert warm(context, file_ids[0]).kind == "postponed"
        assert due_soon(context)[file_ids[0]] < 5
        pass_time(context, file_ids[0])
    telegram.clear_faults()
    assert warm(context, file_ids[0]).kind == "done"


def test_in_an_outage_one_probe_goes_out_and_every_other_job_calls_nothing(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    break_telegram(telegram, "bad-gateway")
    for file_id in file_ids[:3]:
        warm(context, file_id)
    assert telegram.calls.total() == 3  # an outage from here on
    pass_time(context, *file_ids)
    assert [warm(context, file_id).kind for file_id in file_ids] == ["postponed"] * 4
    assert telegram.calls.total() == 4


def test_after_a_failed_probe_another_subject_has_the_next_turn(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    break_telegram(telegram, "bad-gateway")
    for file_id in file_ids[:3]:
        warm(context, file_id)
    pass_time(context, *file_ids)
    for file_id in file_ids:  # the first is the probe
        warm(context, file_id)
    runs = due_soon(context)
    assert max(runs[file_id] for file_id in file_ids[1:]) < runs[file_ids[0]]


def test_pictures_that_fail_while_others_are_fetched_are_no_outage(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    healthy = [telegram.world.add_file(make_picture(color=color)) for color in ("lime", "pink", "plum", "teal")]
    for ill, well in zip(file_ids, healthy, strict=True):
        telegram.fail("getFile", "internal-error", times=None, file_id=ill)
        assert warm(context, ill).kind == "postponed"
        assert warm(context, well).kind == "done"


def test_when_a_probe_is_answered_every_failed_subject_is_due_at_once(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    break_telegram(telegram, "bad-gateway")
    for file_id in file_ids[:3]:
        warm(context, file_id)
    telegram.clear_faults()
    pass_time(context, file_ids[0])
    assert warm(context, file_ids[0]).kind == "done"
    assert {file_id for file_id, seconds in due_soon(context).items() if seconds <= 0} == set(file_ids[1:3])
    pass_time(context, *file_ids)
    assert [warm(context, file_id).kind for file_id in file_ids[1:]] == ["done"] * 3


def test_a_refusal_in_unknown_words_leads_to_get_me_and_to_no_negative_entry(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    telegram.fail("getFile", "unknown-refusal", times=None)
    assert warm(context, file_ids[0]).kind == "postponed"
    assert telegram.calls == {"getFile": 1, "getMe": 1}
    assert context.steps.store.get_unavailable(file_ids[0]) is None


def test_failures_of_an_outage_do_not_count_towards_giving_up(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    for fault in (*["bad-gateway"] * 5, *["temporarily-unavailable"] * 2):
        telegram.fail("getFile", fault)
    for _ in range(7):
        assert warm(context, file_ids[0]).kind == "postponed"
        pass_time(context, file_ids[0])
    assert warm(context, file_ids[0]).kind == "done"
