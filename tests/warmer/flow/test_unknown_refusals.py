"""A refusal in unknown words says nothing about a picture. If every picture is refused, it is an outage."""

from __future__ import annotations

import time

import pytest

from faketelegram import FakeTelegram
from tests.conftest import make_picture, next_id
from tests.support.remaining import remaining
from tests.warmer.conftest import list_next_runs
from tests.warmer.flow.outages import add_subject, attempt, list_ill, pass_time, warm
from warmer.deadline import JobContext
from warmer.flow.warm import warm_photo
from warmer.keys import CALLS, DOWNLOAD, Subject
from warmer.wiring import WorkerContext

METHODS = [call for call in CALLS if call != DOWNLOAD]


@pytest.fixture
def known(context: WorkerContext, telegram: FakeTelegram) -> None:
    """A partner whose profile was looked up, and whose picture is stored."""
    telegram.world.add_user(user_id := next_id(), "Good", picture=make_picture(color="olive"))
    context.people.register(user_id, "Good", None)
    assert attempt(context, Subject.of_person(user_id)).kind == "done"
    telegram.reset()


def test_a_refusal_in_unknown_words_leads_to_get_me_and_to_no_negative_entry(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    telegram.fail("getFile", "unknown-refusal", times=None)
    assert warm(context, file_ids[0]).kind == "postponed"
    assert telegram.calls == {"getFile": 1, "getMe": 1}
    assert context.steps.store.get_unavailable(file_ids[0]) is None


@pytest.mark.parametrize("fault", ["bad-gateway", "unknown-refusal", "hang"])
def test_a_refusal_in_unknown_words_pauses_its_picture_for_a_minute_if_get_me_does_not_answer(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str], fault: str
) -> None:
    telegram.fail("getFile", "unknown-refusal")
    telegram.fail("getMe", fault)
    began = time.monotonic()

    def clock() -> float:  # the time of the job begins with getMe: a busy machine needs it for getFile
        return time.monotonic() if telegram.calls["getMe"] else began

    warm_photo(file_ids[0], JobContext.start("warm", 2, seconds=2, clock=clock), context.steps)
    assert list_next_runs(context)[file_ids[0]] == remaining(60, rel=0.2)


def test_a_refusal_in_unknown_words_pauses_its_picture_for_a_minute_if_no_token_is_left_for_get_me(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    telegram.fail("getFile", "unknown-refusal")
    context.budget.rate, context.budget.burst = 0.05, 1.0
    warm(context, file_ids[0], "rewarm")
    assert telegram.calls == {"getFile": 1}
    assert list_next_runs(context)[file_ids[0]] == remaining(60, rel=0.2)


def test_a_refusal_of_the_bot_outweighs_that_of_a_picture(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    telegram.fail("getFile", "unknown-refusal")
    telegram.fail("getMe", "unauthorized")
    warm(context, file_ids[0])
    assert context.budget.is_halted()


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("call", METHODS)
def test_refusals_in_unknown_words_for_every_subject_are_an_outage(
    context: WorkerContext, telegram: FakeTelegram, call: str
) -> None:
    subjects = [add_subject(telegram, call)[0] for _ in range(4)]
    telegram.fail(call, "unknown-refusal", times=None)
    for _ in range(25):
        assert {attempt(context, subject).kind for subject in subjects} == {"postponed"}
        pass_time(context, *subjects)
    assert list_ill(context) == {call}
    assert max(list_next_runs(context)[subject] for subject in subjects) < 4
    assert {context.redis.get(context.keys.retries(subject)) for subject in subjects} <= {b"1", None}  # before it


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("call", METHODS)
def test_when_a_refused_call_is_answered_every_refused_subject_is_due_at_once(
    context: WorkerContext, telegram: FakeTelegram, call: str
) -> None:
    *refused, last = [add_subject(telegram, call)[0] for _ in range(4)]
    telegram.fail(call, "unknown-refusal", times=None)
    for subject in refused:
        attempt(context, subject)
    assert list_ill(context) == {call}
    telegram.clear_faults()
    pass_time(context)
    assert attempt(context, last).kind == "done"
    assert {*refused} <= {subject for subject, seconds in list_next_runs(context).items() if seconds <= 0}
    assert {attempt(context, subject).kind for subject in refused} == {"done"}


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("call", METHODS)
def test_refusals_of_single_subjects_are_no_outage_while_a_good_one_is_answered(
    context: WorkerContext, telegram: FakeTelegram, call: str
) -> None:
    for _ in range(4):
        subject, only = add_subject(telegram, call)
        telegram.fail(call, "unknown-refusal", times=None, **only)
        assert attempt(context, subject).kind == "postponed"
        assert list_next_runs(context)[subject] == remaining(60, rel=0.2)
    assert not list_ill(context)


@pytest.mark.parametrize("call", METHODS)
def test_refusals_are_no_outage_while_no_good_subject_is_known(
    context: WorkerContext, telegram: FakeTelegram, call: str
) -> None:
    context.people.register(41, "Never looked up", "AgACAgIfilethatispinned")
    telegram.fail(call, "unknown-refusal", times=None)
    for _ in range(4):
        subject, _ = add_subject(telegram, call)
        assert attempt(context, subject).kind == "postponed"
        assert list_next_runs(context)[subject] == remaining(60, rel=0.2)
    assert not list_ill(context)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("call", ["getUserProfilePhotos", "getChat"])
def test_one_refused_partner_is_no_outage_while_another_one_is_answered(
    context: WorkerContext, telegram: FakeTelegram, partner_id: int, call: str
) -> None:
    attempt(context, Subject.of_person(partner_id))
    telegram.fail(call, "unknown-refusal", times=None, user_id=partner_id)
    assert context.steps.attempts.cross_check.check(call) == "well"
