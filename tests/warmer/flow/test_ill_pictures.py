"""A picture that fails by itself is retried at growing pauses, and is never given up for it."""

from __future__ import annotations

import pytest

from faketelegram import FakeTelegram
from tests.support.backoff import end_backoffs
from tests.support.cli_parts import send_heartbeat
from tests.support.people import change_record
from tests.support.remaining import remaining
from tests.warmer.conftest import list_next_runs
from tests.warmer.flow.attempts import FID, USER, get_next_run, keep, lose, run
from tests.warmer.flow.conftest import follow, get_partner
from tests.warmer.flow.outages import add_pictures, attempt, list_ill, pass_time, warm
from warmer.errors import NoPhoto, Transient, UnknownRefusal, Unreachable, UpstreamFailed
from warmer.flow.outcome import Outcome
from warmer.flow.retry import BACKOFF_MAX_SECONDS, GROWS_AFTER, RETRIES, Retry
from warmer.keys import Lane, Subject
from warmer.wiring import WorkerContext

FIRST_SECONDS: dict[type[Transient], int] = {Unreachable: 3, UnknownRefusal: 60}


def fail(context: WorkerContext, kind: type[Transient], times: int, lane: Lane = "rewarm") -> list[Outcome]:
    """This many attempts in a row that fail, each as short a pause as possible after the last."""
    return [run(context, kind("m"), lane=lane, uniform=min) for _ in range(times)]


@pytest.mark.parametrize("kind", FIRST_SECONDS)
def test_the_pause_grows_after_twenty_failures_in_a_row(context: WorkerContext, kind: type[Transient]) -> None:
    keep(context, FID)
    first = 0.8 * FIRST_SECONDS[kind]
    expected = [first] * GROWS_AFTER + [first * 2**number for number in range(1, 10)]
    for seconds in (min(seconds, 0.8 * BACKOFF_MAX_SECONDS) for seconds in expected):
        assert fail(context, kind, 1)[0].kind == "postponed"
        assert get_next_run(context) == remaining(seconds)
        assert context.redis.pttl(context.keys.backoff(FID)) / 1000 == remaining(seconds)
    assert context.steps.store.get_unavailable(FID) is None


def test_the_pause_of_any_number_of_failures_is_bounded(context: WorkerContext) -> None:
    keep(context, FID)
    context.redis.set(context.keys.retries(FID), 100_000)
    fail(context, Unreachable, 1)
    assert get_next_run(context) == remaining(0.8 * BACKOFF_MAX_SECONDS)


@pytest.mark.parametrize("kind", FIRST_SECONDS)
@pytest.mark.parametrize("lane", ["hot", "warm", "rewarm"])
def test_a_picture_that_keeps_failing_is_dropped_unless_it_is_kept_warm(
    context: WorkerContext, kind: type[Transient], lane: Lane
) -> None:
    assert {outcome.kind for outcome in fail(context, kind, GROWS_AFTER, lane)} == {"postponed"}
    assert fail(context, kind, 1, lane) == [Outcome("dropped", "m, until a client asks again")]
    assert get_next_run(context) is None
    assert context.redis.exists(context.keys.backoff(FID))
    assert context.steps.store.get_unavailable(FID) is None


def test_a_client_that_asks_for_a_dropped_picture_gets_it_after_the_pause(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RETRIES, Unreachable, Retry(max_tries=None, pause_seconds=15))
    fail(context, Unreachable, GROWS_AFTER + 1)
    assert context.steps.attempts.run(FID, "hot", lambda _: Outcome("done")).kind == "postponed"
    assert get_next_run(context) == remaining(0.8 * 30)
    assert run(context) == Outcome("done")


def test_failures_that_say_nothing_about_the_picture_do_not_count_towards_giving_up(context: WorkerContext) -> None:
    keep(context, FID)
    fail(context, Unreachable, GROWS_AFTER)
    assert fail(context, UpstreamFailed, 1)[0].kind == "postponed"
    assert context.redis.get(context.keys.failures(FID)) == b"1"


def test_a_picture_that_is_stored_ends_the_count(context: WorkerContext, telegram: FakeTelegram) -> None:
    file_id = add_pictures(telegram)[0]
    telegram.fail("getFile", "internal-error", times=GROWS_AFTER)
    for _ in range(GROWS_AFTER):
        warm(context, file_id)
        pass_time(context, file_id)
    assert context.redis.get(context.keys.retries(file_id)) == str(GROWS_AFTER).encode()
    assert warm(context, file_id).kind == "done"
    assert not context.redis.exists(context.keys.retries(file_id))


def test_a_profile_that_is_found_or_shows_no_photo_ends_the_count(context: WorkerContext) -> None:
    for error in (None, NoPhoto("m")):
        run(context, Unreachable("m"), USER)
        assert context.redis.exists(context.keys.retries(USER))
        run(context, error, USER)
        assert not context.redis.exists(context.keys.retries(USER))


def test_a_profile_that_is_found_ends_its_count_though_its_picture_fails(
    context: WorkerContext, telegram: FakeTelegram, partner_id: int
) -> None:
    subject = Subject.of_person(partner_id)
    telegram.fail("getUserProfilePhotos", "internal-error")
    follow(context, partner_id)
    assert context.redis.exists(context.keys.retries(subject))
    telegram.fail("download", "internal-error")
    assert follow(context, partner_id).startswith("postponed")
    assert not context.redis.exists(context.keys.retries(subject))


def test_forgetting_and_a_lost_lease_leave_no_count(context: WorkerContext) -> None:
    fail(context, Unreachable, 2)
    context.steps.store.forget(FID)
    assert not context.redis.exists(context.keys.retries(FID))
    context.steps.store.clear_tombstones(FID)
    run(context, Unreachable("m"), meanwhile=lose(context))
    assert not context.redis.exists(context.keys.retries(FID))


def test_the_end_of_an_outage_ends_the_count_and_the_pause(context: WorkerContext, telegram: FakeTelegram) -> None:
    file_ids = add_pictures(telegram)
    telegram.fail("getFile", "bad-gateway", times=None)
    for _ in range(GROWS_AFTER + 5):
        warm(context, file_ids[0], "rewarm")
        pass_time(context, file_ids[0])
    warm(context, file_ids[0], "rewarm")
    assert context.redis.pttl(context.keys.backoff(file_ids[0])) > 60_000
    for file_id in file_ids[1:]:
        warm(context, file_id)
    assert list_ill(context) == {"getFile"}
    telegram.clear_faults()
    pass_time(context, *file_ids[1:])
    assert warm(context, file_ids[3]).kind == "done"
    assert {file_id for file_id, seconds in list_next_runs(context).items() if seconds <= 0} == set(file_ids[:3])
    assert not any(context.redis.exists(context.keys.retries(file_id)) for file_id in file_ids)
    assert {warm(context, file_id).kind for file_id in file_ids[:3]} == {"done"}


def test_in_an_outage_no_pause_grows_and_no_picture_is_dropped(context: WorkerContext, telegram: FakeTelegram) -> None:
    file_ids = add_pictures(telegram)
    telegram.fail("getFile", "bad-gateway", times=None)
    for _ in range(4 * GROWS_AFTER):
        for file_id in file_ids:
            assert warm(context, file_id, "rewarm").kind == "postponed"
        assert max(list_next_runs(context).values()) < 4
        pass_time(context, *file_ids)


def test_while_get_me_fails_as_well_no_pause_of_a_single_picture_grows(
    context: WorkerContext, telegram: FakeTelegram
) -> None:
    telegram.fail("*", "bad-gateway", times=None)
    heartbeat = send_heartbeat(context)
    file_id = add_pictures(telegram)[0]
    for _ in range(2 * GROWS_AFTER):
        assert warm(context, file_id, "rewarm").kind == "postponed"
        assert list_next_runs(context)[file_id] < 4
        pass_time(context, file_id)
    telegram.clear_faults()
    heartbeat.check_bot()
    assert not list_ill(context)
    telegram.fail("getFile", "bad-gateway", times=None)
    outcomes = {}
    for number in range(GROWS_AFTER + 1):
        pass_time(context, file_id)
        outcomes[number] = warm(context, file_id, "rewarm").kind
    assert outcomes[GROWS_AFTER] == "dropped"


# Who shows it


def test_a_person_whose_picture_waits_runs_when_the_picture_does(
    context: WorkerContext, telegram: FakeTelegram, partner_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RETRIES, Unreachable, Retry(max_tries=None, pause_seconds=60))
    telegram.fail("download", "internal-error", times=None)
    subject = Subject.of_person(partner_id)
    for _ in range(2):  # the second finds the picture in its backoff
        assert attempt(context, subject).kind == "postponed"
        runs = list_next_runs(context)
        assert runs[subject] >= runs[str(get_partner(context, partner_id).next_file_id)] > 1
    assert telegram.calls == {"getUserProfilePhotos": 1, "getFile": 1, "download": 1}


@pytest.mark.parametrize(
    ("age_seconds", "backoff_seconds", "look_ups"), [(120, 300, 0), (120, 0, 1), (BACKOFF_MAX_SECONDS + 1, 300, 1)]
)
def test_while_the_picture_waits_its_profile_is_looked_up_every_ten_minutes(
    context: WorkerContext,
    telegram: FakeTelegram,
    partner_id: int,
    age_seconds: int,
    backoff_seconds: int,
    look_ups: int,
) -> None:
    telegram.fail("download", "internal-error", times=None)
    follow(context, partner_id)
    end_backoffs(context.redis)
    file_id = str(get_partner(context, partner_id).next_file_id)
    if backoff_seconds:
        context.redis.set(context.keys.backoff(file_id), "1", ex=backoff_seconds)
    looked_up_at = context.redis.time()[0] - age_seconds
    change_record(context.redis, context.keys, partner_id, looked_up_at=looked_up_at)
    attempt(context, Subject.of_person(partner_id))
    assert telegram.calls["getUserProfilePhotos"] == 1 + look_ups


@pytest.mark.parametrize("is_registered", [False, True])
def test_a_person_whose_picture_keeps_failing_leaves_the_schedule_with_it_unless_it_is_kept_warm(
    context: WorkerContext, telegram: FakeTelegram, user_id: int, is_registered: bool
) -> None:
    if is_registered:
        context.people.register(user_id, "Ann", None)
    telegram.fail("download", "internal-error", times=None)
    subject = Subject.of_person(user_id)
    outcomes = []
    for _ in range(GROWS_AFTER + 1):
        end_backoffs(context.redis)
        outcomes.append(attempt(context, subject, "rewarm"))
    file_id = str(context.people.get(user_id).next_file_id)
    assert {outcome.kind for outcome in outcomes[:-1]} == {"postponed"}
    assert outcomes[-1].kind == ("postponed" if is_registered else "dropped")
    assert set(list_next_runs(context)) == ({subject} if is_registered else set())
    assert not any(context.steps.store.get_unavailable(name) for name in (subject, file_id))
