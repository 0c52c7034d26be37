"""The cross-check decides by what Telegram answers for a good picture, and decides nothing without an answer."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

import pytest

from faketelegram import FakeTelegram
from runner.supervise import GRACE
from tests.conftest import listening
from tests.warmer.flow.outages import add_pictures, attempt, list_ill, pass_time, warm
from warmer.deadline import TASK_SECONDS
from warmer.flow import cross_check
from warmer.flow.cross_check import CANDIDATES_MAX, CHECK_SECONDS
from warmer.keys import CALLS, DOWNLOAD, LEASE_SECONDS, Subject
from warmer.wiring import WorkerContext

API_CALLS = [call for call in CALLS if call != DOWNLOAD]


def owe_tokens(context: WorkerContext, seconds: float) -> None:
    """As if other jobs had taken the tokens of so many seconds in advance."""
    now = ".".join(f"{part:06}" for part in context.redis.time())
    context.redis.hset(context.keys.budget, mapping={"tokens": 1 - seconds * context.budget.rate, "at": now})


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("call", API_CALLS)
def test_a_refusal_in_unknown_words_for_a_good_picture_ends_no_outage(
    context: WorkerContext, telegram: FakeTelegram, call: str
) -> None:
    telegram.fail(call, "unknown-refusal", times=None)
    context.budget.begin_outage(call)
    assert context.steps.attempts.cross_check.check(call) == ("ill" if call == "getFile" else "alone")
    assert list_ill(context) == {call}


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("getFile", "temporarily-unavailable"),
        ("getFile", "invalid-file-id"),
        ("getUserProfilePhotos", "user-not-found"),
        ("getChat", "chat-not-found"),
    ],
)
def test_every_known_answer_for_a_good_picture_ends_an_outage_and_begins_none(
    context: WorkerContext, telegram: FakeTelegram, call: str, fault: str
) -> None:
    telegram.fail(call, fault, times=None)
    context.budget.begin_outage(call)
    assert context.steps.attempts.cross_check.check(call) == "well"
    assert not list_ill(context)


@pytest.mark.parametrize("fault", ["temporarily-unavailable", "invalid-file-id"])
def test_a_good_picture_whose_id_is_dead_leads_to_the_next_one_for_a_download(
    context: WorkerContext, telegram: FakeTelegram, fault: str
) -> None:
    check = context.steps.attempts.cross_check
    *dead, alive = add_pictures(telegram)[:CANDIDATES_MAX]
    for number, file_id in enumerate([*dead, alive]):
        context.people.register(50 + number, "Good", file_id)
        assert warm(context, file_id).kind == "done"
    for file_id in dead:
        telegram.fail("getFile", fault, times=None, file_id=file_id)
    for _ in range(8):  # in a random order
        assert check.check(DOWNLOAD) == "well"
        pass_time(context)
    telegram.fail("getFile", fault, times=None, file_id=alive)
    assert check.check(DOWNLOAD) == "unknown"


@pytest.mark.parametrize("fault", ["invalid-file-id", "bad-gateway"])
def test_without_a_path_of_a_good_picture_a_failed_download_is_neither_counted_nor_an_outage(
    context: WorkerContext, telegram: FakeTelegram, good: str, fall_ill: Callable[[str], list[Subject]], fault: str
) -> None:
    telegram.fail("getFile", fault, times=None, file_id=good)
    ill = fall_ill(DOWNLOAD)
    for subject in ill:
        assert attempt(context, subject).kind == "postponed"
    assert not list_ill(context)
    assert [context.redis.exists(context.keys.retries(subject)) for subject in ill] == [1, 1, 0, 0]


@pytest.mark.usefixtures("good")
def test_a_download_that_has_too_little_time_left_is_not_made(
    context: WorkerContext, telegram: FakeTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cross_check, "CHECK_SECONDS", 60.0)
    monkeypatch.setattr(cross_check, "CALL_SECONDS", 61.0)
    telegram.reset()
    assert context.steps.attempts.cross_check.check(DOWNLOAD) == "unknown"
    assert telegram.calls == {"getFile": 1}


def test_one_good_picture_is_found_among_many_that_are_not_stored_yet(
    context: WorkerContext, telegram: FakeTelegram, good: str
) -> None:
    for number in range(90):
        context.people.register(1000 + number, "New", f"A-not-stored-{number}")
    telegram.reset()
    assert context.steps.attempts.cross_check.check("getFile") == "well"
    assert [said for _, method, said in telegram.log if method == "getFile" and good in str(said)]


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("call", CALLS)
def test_without_a_token_in_time_nothing_is_known_and_the_next_failure_asks(
    context: WorkerContext, telegram: FakeTelegram, call: str
) -> None:
    check = context.steps.attempts.cross_check
    telegram.reset()
    owe_tokens(context, 600)
    assert check.check(call) == "unknown"
    assert not telegram.calls
    owe_tokens(context, 0.9)  # as behind a backlog of warm jobs
    assert check.check(call) == "well"


@pytest.mark.usefixtures("good")
def test_ill_pictures_are_neither_counted_nor_an_outage_while_no_token_is_left(
    context: WorkerContext, fall_ill: Callable[[str], list[Subject]]
) -> None:
    ill = fall_ill(DOWNLOAD)
    for _ in range(2):  # the second time their paths are known, so that a download needs no token
        for subject in ill[:3]:
            assert attempt(context, subject).kind == "postponed"
        pass_time(context, *ill)
        owe_tokens(context, 600)
    assert not list_ill(context)
    assert [int(context.redis.get(context.keys.retries(subject)) or 0) for subject in ill[:3]] == [2, 2, 1]


@pytest.mark.usefixtures("good")
def test_a_client_is_told_before_the_good_picture_is_asked_for(
    context: WorkerContext,
    telegram: FakeTelegram,
    good: str,
    fall_ill: Callable[[str], list[Subject]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ill = fall_ill("getFile")
    for subject in ill[:2]:
        attempt(context, subject)
    with listening(context.redis, context.keys.done) as hear:

        def wait(stopped: Event, _seconds: float) -> bool:
            if good in str(telegram.log[-1]):
                context.redis.publish(context.keys.done, "the good picture is asked for")
            return stopped.is_set()

        monkeypatch.setattr(telegram, "wait", wait)
        monkeypatch.setattr(telegram, "latency", 0.001)
        attempt(context, ill[2], "hot")
        assert [hear(), hear()] == [f"{ill[2]} postponed".encode(), b"the good picture is asked for"]


def test_a_job_with_its_check_ends_before_a_stop_kills_it_and_before_its_lease_expires() -> None:
    assert min(GRACE, LEASE_SECONDS) > TASK_SECONDS + CHECK_SECONDS
