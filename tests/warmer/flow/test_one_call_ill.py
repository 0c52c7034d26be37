"""If one call is ill, only this one waits. Words that may mean an ill Telegram are retried for some minutes."""

from __future__ import annotations

from contextlib import closing

import pytest

from faketelegram import FakeTelegram
from tests.warmer.conftest import list_next_runs
from tests.warmer.flow.attempts import run
from tests.warmer.flow.outages import add_subject, attempt, list_ill, pass_time, warm
from warmer.deadline import JobContext
from warmer.errors import InOutage, TemporarilyUnavailable
from warmer.flow.profile import refresh_profile
from warmer.flow.retry import BACKOFF_MAX_SECONDS, GROWS_AFTER, RETRIES
from warmer.keys import Subject
from warmer.redis_client.clients import connect_worker
from warmer.settings import Settings
from warmer.wiring import WorkerContext, open_worker_context

CALLS = ["getFile", "download", "getUserProfilePhotos", "getChat"]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("by_another_worker", [False, True])
def test_pictures_that_fail_while_others_are_fetched_are_no_outage(
    context: WorkerContext, settings: Settings, telegram: FakeTelegram, call: str, by_another_worker: bool
) -> None:
    with closing(open_worker_context(settings, connect_worker(settings))) as another:
        for _ in range(4):
            ill, narrowed = add_subject(telegram, call)
            telegram.fail(call, "internal-error", times=None, **narrowed)
            assert attempt(context, ill).kind == "postponed"
            well, _ = add_subject(telegram, call)
            assert attempt(another if by_another_worker else context, well).kind == "done"
    assert not list_ill(context)


@pytest.mark.parametrize("call", CALLS)
def test_pictures_that_fail_with_no_answer_in_between_are_an_outage(
    context: WorkerContext, telegram: FakeTelegram, call: str
) -> None:
    attempt(context, add_subject(telegram, call)[0])  # an answer before the first failure
    telegram.fail(call, "internal-error", times=None)
    for _ in range(3):
        assert attempt(context, add_subject(telegram, call)[0]).kind == "postponed"
    assert list_ill(context) == {call}


@pytest.mark.usefixtures("rare_probes")
def test_while_downloads_fail_they_are_probed_one_at_a_time_and_paths_are_asked_for_once(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    telegram.fail("download", "internal-error", times=None)
    for file_id in file_ids:
        warm(context, file_id)
    assert telegram.calls == {"getFile": 4, "download": 3}
    for _ in range(3):
        pass_time(context, *file_ids)
        assert {warm(context, file_id).kind for file_id in file_ids} == {"postponed"}
    assert telegram.calls == {"getFile": 4, "download": 6}


@pytest.mark.parametrize("fault", ["path-expired", "unauthorized"])
def test_downloads_that_are_refused_for_every_picture_are_an_outage_and_count_against_none(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str], fault: str
) -> None:
    telegram.fail("download", fault, times=None)
    for _ in range(25):
        assert {warm(context, file_id).kind for file_id in file_ids} == {"postponed"}
        pass_time(context, *file_ids)
    assert list_ill(context) == {"download"}
    assert not any(context.redis.exists(context.keys.failures(file_id)) for file_id in file_ids)
    assert telegram.calls["download"] < 3 + 2 * 25  # one probe at a time
    telegram.clear_faults()
    for _ in file_ids:  # the path of the first probe may have expired meanwhile
        outcomes = {warm(context, file_id).kind for file_id in file_ids}
        pass_time(context, *file_ids)
    assert outcomes == {"done"}


@pytest.mark.usefixtures("rare_probes")
def test_a_download_that_succeeds_ends_the_outage_of_downloads(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    telegram.fail("download", "internal-error", times=3)
    for file_id in file_ids:
        warm(context, file_id)
    pass_time(context, file_ids[0])
    assert warm(context, file_ids[0]).kind == "done"
    assert {file_id for file_id, seconds in list_next_runs(context).items() if seconds <= 0} == set(file_ids[1:])
    assert [warm(context, file_id).kind for file_id in file_ids[1:]] == ["done"] * 3


@pytest.mark.usefixtures("rare_probes")
def test_while_profiles_cannot_be_looked_up_pictures_are_fetched(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    telegram.fail("getUserProfilePhotos", "bad-gateway", times=None)
    for user_id in (41, 42, 43, 44):
        job = JobContext.start("warm", 2)
        assert refresh_profile(user_id, job, context.steps).kind == "postponed"
        assert context.steps.store.get_unavailable(Subject.of_person(user_id)) is None
    assert telegram.calls == {"getUserProfilePhotos": 3}
    assert [warm(context, file_id).kind for file_id in file_ids] == ["done"] * 4


@pytest.mark.usefixtures("rare_probes")
def test_each_call_that_is_ill_has_its_own_probe(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    user_ids = [add_subject(telegram, "getUserProfilePhotos")[0] for _ in range(4)]
    telegram.fail("*", "bad-gateway", times=None)
    for subject in (*user_ids[:3], *map(Subject, file_ids[:3])):
        attempt(context, subject)
    assert list_ill(context) == {"getUserProfilePhotos", "getFile"}
    pass_time(context, *user_ids, *file_ids)
    for subject in (*user_ids, *map(Subject, file_ids)):
        attempt(context, subject)
    assert telegram.calls == {"getUserProfilePhotos": 4, "getFile": 4}


def test_jobs_that_waited_for_a_probe_begin_no_outage_after_it_was_answered(
    context: WorkerContext, file_ids: list[str]
) -> None:
    for file_id in file_ids:
        error = InOutage("m", retry_after=2)
        error.method = "getFile"
        assert run(context, error, Subject(file_id)).kind == "postponed"
    assert not list_ill(context)


def test_when_everything_was_ill_the_first_answer_lets_the_other_probes_out_at_once(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    telegram.fail("getUserProfilePhotos", "bad-gateway", times=3)
    telegram.fail("getFile", "bad-gateway", times=3)
    for user_id in (41, 42, 43):
        refresh_profile(user_id, JobContext.start("warm", 2), context.steps)
    for file_id in file_ids[:3]:
        warm(context, file_id)
    pass_time(context, file_ids[0])
    assert warm(context, file_ids[0]).kind == "done"
    context.redis.delete(context.keys.backoff(Subject.of_person(41)))
    assert refresh_profile(41, JobContext.start("warm", 2), context.steps).kind == "unavailable"  # an answer: unknown


def test_pictures_that_are_temporarily_unavailable_together_are_tried_for_minutes(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    telegram.fail("getFile", "temporarily-unavailable", times=None)
    for _ in range(2):
        warm(context, file_ids[0])
        pass_time(context, *file_ids)
    for file_id in file_ids[1:]:
        warm(context, file_id)
    for _ in range(2 * (RETRIES[TemporarilyUnavailable].max_tries or 0)):
        pass_time(context, *file_ids)
        assert [warm(context, file_id).kind for file_id in file_ids] == ["postponed"] * 4
        assert max(list_next_runs(context).values()) < 4
    telegram.clear_faults()
    pass_time(context, *file_ids)
    assert [warm(context, file_id).kind for file_id in file_ids] == ["done"] * 4


def test_pictures_that_are_temporarily_unavailable_together_are_never_given_up(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    for number, file_id in enumerate(file_ids):
        context.people.register(number + 1, "Ann", file_id)
    telegram.fail("getFile", "temporarily-unavailable", times=None)
    for _ in range(2 * GROWS_AFTER + 10):
        assert {warm(context, file_id).kind for file_id in file_ids} == {"postponed"}
        pass_time(context, *file_ids)
    assert min(list_next_runs(context)[file_id] for file_id in file_ids) > 60, "the pauses do not grow"
    assert context.redis.ttl(context.keys.outage("refused")) > BACKOFF_MAX_SECONDS, "each would fail alone"


def test_when_a_good_get_file_follows_every_picture_that_was_temporarily_unavailable_is_due_at_once(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    telegram.fail("getFile", "temporarily-unavailable", times=2 * GROWS_AFTER * len(file_ids))
    for _ in range(2 * GROWS_AFTER):
        for file_id in file_ids:
            warm(context, file_id)
            context.redis.delete(context.keys.backoff(file_id))
    for file_id in file_ids:
        context.redis.set(context.keys.backoff(file_id), "1", ex=600)
    assert warm(context, add_subject(telegram, "getFile")[0].file_id).kind == "done"
    assert {file_id for file_id, seconds in list_next_runs(context).items() if seconds <= 0} == set(file_ids)
    assert {warm(context, file_id).kind for file_id in file_ids} == {"done"}


def test_wrong_file_ids_do_not_slow_the_others_down_and_are_given_up_at_the_third_try(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    tries = RETRIES[TemporarilyUnavailable].max_tries or 0
    for file_id in file_ids[:3]:
        telegram.fail("getFile", "temporarily-unavailable", times=None, file_id=file_id)
    for _ in range(tries):
        outcomes = []
        for file_id in file_ids[:3]:
            outcomes.append(warm(context, file_id).kind)
            assert warm(context, add_subject(telegram, "getFile")[0].file_id).kind == "done"
        pass_time(context, *file_ids)
    assert outcomes == ["unavailable"] * 3
    assert telegram.calls["getFile"] == 2 * 3 * tries


def test_a_good_get_file_after_one_wrong_file_id_leaves_its_backoff(
    context: WorkerContext, telegram: FakeTelegram, file_ids: list[str]
) -> None:
    telegram.fail("getFile", "temporarily-unavailable")
    warm(context, file_ids[0])
    context.redis.set(context.keys.backoff(file_ids[0]), "1", px=60_000)  # longer than a slow machine takes
    context.schedule.set(file_ids[0], 60)
    assert warm(context, file_ids[1]).kind == "done"
    assert context.redis.exists(context.keys.backoff(file_ids[0]))
    assert list_next_runs(context)[file_ids[0]] > 1
