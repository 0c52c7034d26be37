"""Pictures that are ill by themselves are no outage of Telegram, also while no other one is asked for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest

from faketelegram import FakeTelegram
from tests.support.cli_parts import send_heartbeat
from tests.support.remaining import remaining
from tests.warmer.conftest import list_next_runs
from tests.warmer.flow.outages import add_subject, attempt, list_ill, pass_time
from warmer.flow.retry import GROWS_AFTER
from warmer.keys import CALLS, DOWNLOAD, Subject
from warmer.redis_client.clients import connect_worker
from warmer.settings import Settings
from warmer.state.budget import PROBE_SECONDS
from warmer.wiring import WorkerContext, open_worker_context

PICTURE_CALLS = ["getFile", DOWNLOAD]


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("call", CALLS)
def test_ill_pictures_without_other_traffic_are_no_outage_and_their_pauses_grow(
    context: WorkerContext, fall_ill: Callable[[str], list[Subject]], call: str
) -> None:
    send_heartbeat(context)
    ill = fall_ill(call)
    for _ in range(GROWS_AFTER + 2):
        for subject in ill:
            assert attempt(context, subject, "rewarm").kind in ("postponed", "dropped")
            assert not list_ill(context)
        assert context.health.take().checks["bot"] == "ok"
        pass_time(context, *ill)
    assert {attempt(context, subject, "rewarm").kind for subject in ill} == {"dropped"}
    assert not any(context.steps.store.get_unavailable(subject) for subject in ill)


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_for_a_good_picture_too_is_an_outage_and_counts_against_none(
    context: WorkerContext, telegram: FakeTelegram, call: str
) -> None:
    telegram.fail(call, "internal-error", times=None)
    subjects = [add_subject(telegram, call)[0] for _ in range(4)]
    for subject in subjects[:3]:
        attempt(context, subject)
    assert list_ill(context) == {call}
    for _ in range(2 * GROWS_AFTER):
        pass_time(context, *subjects)
        assert {attempt(context, subject).kind for subject in subjects} == {"postponed"}
        assert max(list_next_runs(context)[subject] for subject in subjects) < 4
    assert list_ill(context) == {call}


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("call", CALLS)
def test_an_outage_ends_although_only_ill_pictures_are_left_to_probe_it(
    context: WorkerContext, telegram: FakeTelegram, fall_ill: Callable[[str], list[Subject]], call: str
) -> None:
    telegram.fail(call, "bad-gateway", times=None)
    well = [add_subject(telegram, call)[0] for _ in range(3)]
    for subject in well:
        attempt(context, subject)
    assert list_ill(context) == {call}
    telegram.clear_faults()
    ill = fall_ill(call)
    pass_time(context, *ill)
    attempt(context, ill[0])
    assert not list_ill(context)
    assert {subject for subject, seconds in list_next_runs(context).items() if seconds <= 0} >= set(well)
    assert {attempt(context, subject).kind for subject in well} == {"done"}


@pytest.mark.parametrize("call", PICTURE_CALLS)
def test_a_good_picture_is_asked_for_once_in_the_time_between_two_probes_by_all_workers(
    context: WorkerContext,
    settings: Settings,
    telegram: FakeTelegram,
    good: str,
    fall_ill: Callable[[str], list[Subject]],
    call: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("warmer.state.outage.VERDICT_SECONDS", 600)  # on a machine of any speed
    telegram.reset()
    ill = fall_ill(call) + fall_ill(call)
    with closing(open_worker_context(settings, connect_worker(settings))) as another:
        for subject in ill:
            attempt(context, subject)
            attempt(another, subject)
    asked = [said for _, method, said in telegram.log if method == "getFile" and good in str(said)]
    assert len(asked) == 1
    assert not list_ill(context)


@pytest.mark.usefixtures("good")
def test_while_another_job_asks_for_the_good_picture_a_failure_is_neither_counted_nor_an_outage(
    context: WorkerContext, telegram: FakeTelegram, fall_ill: Callable[[str], list[Subject]]
) -> None:
    ill = fall_ill("getFile")
    for subject in ill[:2]:
        attempt(context, subject)
    context.redis.set(context.keys.verdict("getFile"), "asking")
    telegram_calls = telegram.calls["getFile"]
    assert attempt(context, ill[2]).kind == "postponed"
    assert telegram.calls["getFile"] == telegram_calls + 1
    assert not context.redis.exists(context.keys.retries(ill[2]))
    assert not list_ill(context)


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("call", CALLS)
def test_the_failing_ones_themselves_are_never_the_good_one(
    context: WorkerContext, telegram: FakeTelegram, good: str, call: str
) -> None:
    failing = Subject(good) if call in PICTURE_CALLS else Subject.of_person(41)
    for number in range(3):
        context.steps.attempts.outage.note_failure(f"A{number}" if number else failing, call)
    telegram.reset()
    assert context.steps.attempts.cross_check.check(call) == "alone"
    assert not telegram.calls


def test_only_a_stored_picture_is_a_good_one_and_only_a_person_has_profile_photos(
    context: WorkerContext, telegram: FakeTelegram
) -> None:
    check = context.steps.attempts.cross_check
    group, _ = add_subject(telegram, "getChat")
    context.people.register(group.user_id, "Us", telegram.world.add_file(b"not fetched yet"))
    for call in ("getFile", DOWNLOAD, "getUserProfilePhotos"):
        assert check.check(call) == "alone"
    assert not telegram.calls
    assert check.check("getChat") == "well"
    assert telegram.calls == {"getChat": 1}


@pytest.mark.usefixtures("good")
def test_a_verdict_holds_until_the_next_probe_of_an_outage(context: WorkerContext) -> None:
    for call in CALLS:
        context.steps.attempts.cross_check.check(call)
        assert context.redis.ttl(context.keys.verdict(call)) == remaining(PROBE_SECONDS)


@pytest.mark.usefixtures("good")
def test_the_check_obeys_a_pause_and_costs_a_token(context: WorkerContext, telegram: FakeTelegram) -> None:
    check = context.steps.attempts.cross_check
    telegram.reset()
    before = float(context.redis.hget(context.keys.budget, "tokens") or 0)
    assert check.check("getFile") == "well"
    assert float(context.redis.hget(context.keys.budget, "tokens") or 0) < max(before, context.budget.burst)
    context.redis.delete(context.keys.verdict("getFile"))
    context.budget.pause(9)
    assert check.check("getFile") == "unknown"
    assert telegram.calls == {"getFile": 1}


@pytest.mark.usefixtures("good")
def test_a_call_of_the_check_that_is_told_to_pause_pauses_every_worker(
    context: WorkerContext, telegram: FakeTelegram
) -> None:
    telegram.fail("getFile", "too-many-requests", retry_after=9)
    assert context.steps.attempts.cross_check.check("getFile") == "unknown"
    assert context.budget.get_pause() == remaining(9)
