"""While Telegram is unreachable nothing counts against a picture, and everything is due when it answers again."""

from __future__ import annotations

import time
from typing import Any

import pytest

from faketelegram import FakeTelegram
from tests.conftest import listening, make_picture
from tests.support.backoff import end_backoffs
from tests.support.remaining import remaining
from tests.warmer.conftest import list_next_runs
from tests.warmer.flow.attempts import keep
from tests.warmer.flow.conftest import follow, mark_old
from tests.warmer.flow.outages import attempt, break_telegram, pass_time, warm
from warmer.deadline import JobContext
from warmer.errors import Unreachable
from warmer.flow.retry import RETRIES, Retry
from warmer.flow.warm import warm_photo
from warmer.keys import Subject
from warmer.state.failures import list_failures
from warmer.wiring import WorkerContext

ILL = ["internal-error", "bad-gateway", "connection-reset"]


def begin_outage(context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]) -> None:
    """Telegram falls ill, and the first three pictures fail."""
    break_telegram(telegram, "bad-gateway")
    for file_id in file_ids[:3]:
        warm(context, file_id)


@pytest.mark.parametrize("fault", ILL)
def test_twenty_asks_within_a_backoff_make_one_call_and_no_negative_entry(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str], fault: str
) -> None:
    break_telegram(telegram, fault)
    outcomes = [warm(context, file_ids[0], "hot")]
    assert list_next_runs(context)[file_ids[0]] < 4
    context.redis.set(context.keys.backoff(file_ids[0]), "1", px=60_000)  # longer than a slow machine takes
    outcomes += [warm(context, file_ids[0], "hot") for _ in range(19)]
    assert {outcome.kind for outcome in outcomes} == {"postponed"}
    assert telegram.calls.total() == 1
    assert context.steps.store.get_unavailable(file_ids[0]) is None


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
        assert warm(context, file_ids[0]).kind in ("postponed", "dropped")
        assert context.steps.store.get_unavailable(file_ids[0]) is None
        pass_time(context, file_ids[0])
    telegram.clear_faults()
    assert warm(context, file_ids[0]).kind == "done"


@pytest.mark.usefixtures("rare_probes")
def test_in_an_outage_one_probe_goes_out_and_every_other_job_calls_nothing(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    begin_outage(context, telegram, file_ids)
    assert telegram.calls.total() == 3  # an outage from here on
    pass_time(context, *file_ids)
    assert [warm(context, file_id).kind for file_id in file_ids] == ["postponed"] * 4
    assert telegram.calls.total() == 4


@pytest.mark.usefixtures("rare_probes")
def test_a_job_that_waits_for_a_probe_asks_for_no_good_picture_and_counts_no_failure(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    keep(context, good := telegram.world.add_file(make_picture()))
    assert warm(context, good).kind == "done"
    begin_outage(context, telegram, file_ids)
    calls = telegram.calls.total()
    for forgotten in (context.keys.verdict("getFile"), context.keys.outage("getFile")):  # both expire
        assert context.redis.delete(forgotten)
        end_backoffs(context.redis)
        assert warm(context, file_ids[3]).kind == "postponed"
    assert telegram.calls.total() == calls
    assert not context.redis.exists(context.keys.retries(file_ids[3]))


def test_after_a_failed_probe_another_subject_has_the_next_turn(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warmer.state.budget.PROBE_SECONDS", 60)  # both longer than a slow machine takes
    monkeypatch.setitem(RETRIES, Unreachable, Retry(max_tries=None, pause_seconds=90))
    begin_outage(context, telegram, file_ids)
    pass_time(context, *file_ids)
    for file_id in file_ids:  # the first is the probe
        warm(context, file_id)
    runs = list_next_runs(context)
    assert max(runs[file_id] for file_id in file_ids[1:]) < runs[file_ids[0]]


def test_when_a_probe_is_answered_every_failed_subject_is_due_at_once(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    begin_outage(context, telegram, file_ids)
    telegram.clear_faults()
    context.redis.hset(context.keys.budget, "probe_at:getFile", "0")
    assert warm(context, file_ids[3]).kind == "done"
    assert {file_id for file_id, seconds in list_next_runs(context).items() if seconds <= 0} == set(file_ids[:3])
    assert [warm(context, file_id).kind for file_id in file_ids[:3]] == ["done"] * 3


@pytest.mark.usefixtures("rare_probes")
def test_a_job_that_waits_for_the_probe_of_another_one_leaves_the_reason_of_its_last_failure(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    begin_outage(context, telegram, file_ids)
    pass_time(context, *file_ids)
    assert [warm(context, file_id).kind for file_id in file_ids] == ["postponed"] * 4
    reasons = {failure.subject: failure.reason for failure in list_failures(context.redis, context.keys)}
    assert reasons == dict.fromkeys(file_ids[:3], "getFile: 502")


def test_failures_of_an_outage_do_not_count_towards_giving_up(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    for fault in (*["bad-gateway"] * 5, *["temporarily-unavailable"] * 2):
        telegram.fail("getFile", fault)
    for _ in range(7):
        assert warm(context, file_ids[0]).kind == "postponed"
        pass_time(context, file_ids[0])
    assert warm(context, file_ids[0]).kind == "done"


def start_short_job(telegram: FakeTelegram) -> JobContext:
    """A job whose time begins with its call: on a busy machine it would otherwise be over before."""
    calls, now = telegram.calls.total(), time.monotonic()
    return JobContext.start("warm", 2, 0.3, lambda: time.monotonic() if telegram.calls.total() > calls else now)


@pytest.mark.usefixtures("rare_probes")
@pytest.mark.parametrize("fault", ["slow-headers", "slow-body", "hang"])
def test_calls_that_are_cut_at_the_total_deadline_are_an_outage_and_count_against_no_picture(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str], fault: str
) -> None:
    telegram.fail("getFile", fault, times=None)
    for file_id in file_ids[:3]:
        assert warm_photo(file_id, start_short_job(telegram), context.steps).kind == "postponed"
    assert not any(context.redis.exists(context.keys.failures(file_id)) for file_id in file_ids)
    pass_time(context, *file_ids)
    warm_photo(file_ids[0], start_short_job(telegram), context.steps)  # a probe that is cut ends nothing
    assert [warm(context, file_id).kind for file_id in file_ids[1:]] == ["postponed"] * 3
    assert telegram.calls == {"getFile": 4}


@pytest.mark.parametrize(
    ("call", "fault"),
    [("download", "blocked")]
    + [("getFile", fault) for fault in ("oversize", "not-json", "absolute-file-path", "crlf-file-path", "redirect")],
)
def test_malformed_answers_for_every_picture_are_an_outage_and_count_against_none(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str], call: str, fault: str
) -> None:
    options: Any = {"status": 200} if fault == "blocked" else {}  # as a captive portal
    telegram.fail(call, fault, times=None, **options)
    for _ in range(25):
        assert {warm(context, file_id).kind for file_id in file_ids} == {"postponed"}
        pass_time(context, *file_ids)
    assert not any(context.redis.exists(context.keys.failures(file_id)) for file_id in file_ids)
    telegram.clear_faults()
    assert {warm(context, file_id).kind for file_id in file_ids} == {"done"}


def test_an_outage_survives_a_redis_whose_clock_was_set_back(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    begin_outage(context, telegram, file_ids)
    telegram.clear_faults()
    context.redis.hincrbyfloat(context.keys.budget, "probe_at:getFile", 3600)  # as if the clock were an hour behind now
    assert warm(context, file_ids[3]).kind == "done"


def test_a_telegram_that_comes_and_goes_leaves_no_negative_entry(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    for _ in range(10):
        break_telegram(telegram, "connection-reset")
        for file_id in file_ids:
            warm(context, file_id)
            pass_time(context, *file_ids)
        telegram.clear_faults()
        telegram.fail("download", "connection-reset", times=2)
        warm(context, file_ids[0])  # getFile answers, the download fails again
        pass_time(context, *file_ids)
    telegram.clear_faults()
    assert {warm(context, file_id).kind for file_id in file_ids} == {"done"}


@pytest.mark.parametrize("fault", ["unauthorized", "logged-out"])
def test_when_the_bot_is_accepted_again_every_failed_subject_is_due_at_once(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str], fault: str
) -> None:
    telegram.fail("getFile", fault)
    for file_id in file_ids:
        assert warm(context, file_id).kind == "postponed"
    assert min(list_next_runs(context).values()) == remaining(15, rel=0.1)
    context.budget.resume()
    assert max(list_next_runs(context).values()) <= 0
    assert [warm(context, file_id).kind for file_id in file_ids] == ["done"] * 4


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        *((fault, 403) for fault in ("logged-out", "unauthorized", "not-found", "unknown-refusal", "not-json")),
        ("temporarily-unavailable", 403),  # words about a file
        *(("blocked", status) for status in (400, 403, 404)),
    ],
)
def test_nothing_that_telegram_or_a_proxy_says_about_everybody_hides_the_stored_picture_of_a_partner(
    context: WorkerContext, telegram: FakeTelegram, partner_id: int, fault: str, status: int
) -> None:
    follow(context, partner_id)
    person, (file_id,) = Subject.of_person(partner_id), context.people.get(partner_id).shown
    mark_old(context, partner_id)
    context.people.register(partner_id, "Ann", None)
    if fault == "blocked":
        telegram.fail("*", fault, times=None, status=status)
    else:
        telegram.fail("*", fault, times=None)
    for _ in range(5):
        assert attempt(context, person).kind == "postponed"
        pass_time(context, person)
    assert context.people.get(partner_id).shown == (file_id,)
    assert context.steps.store.get_statuses([file_id])[0].status == "ready"
    assert [context.steps.store.get_unavailable(subject) for subject in (person, file_id)] == [None, None]
