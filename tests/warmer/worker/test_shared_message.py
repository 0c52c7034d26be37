"""Several subjects in one message: each is on its own, and one that fails takes nobody along."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from celery.worker import state

from faketelegram import FakeTelegram
from tests.conftest import make_picture, wait_until
from tests.support.clock import Clock
from tests.support.steps import is_ready
from tests.warmer.conftest import list_next_runs
from tests.warmer.worker.test_tasks import are_queues_empty, count_outcomes
from warmer.celery import app as celery
from warmer.flow.outcome import Outcome
from warmer.keys import Subject
from warmer.wiring import WorkerContext
from warmer.worker.shared_message import TURN_SECONDS, warm_each

NAMES = ["AgACAgIAAxkBAAIBfirst", "AgACAgIAAxkBAAIBsecond", "AgACAgIAAxkBAAIBthird"]
Spoil = Callable[[WorkerContext, FakeTelegram, Subject], object]


def list_due(context: WorkerContext) -> list[str]:
    return sorted(name for name, seconds in list_next_runs(context).items() if seconds <= 0)


def test_each_subject_has_an_outcome(context: WorkerContext) -> None:
    outcomes = {name: Outcome("done") for name in NAMES} | {NAMES[1]: Outcome("postponed", "no token left")}
    assert warm_each(NAMES, lambda subject: outcomes[subject], context.schedule) == "2 done, 1 postponed"
    assert list_next_runs(context) == {}


def test_after_a_bug_those_that_have_not_begun_are_due_at_once(context: WorkerContext) -> None:
    def fail(subject: Subject) -> Outcome:
        if subject == NAMES[1]:
            raise ZeroDivisionError
        return Outcome("done")

    with pytest.raises(ZeroDivisionError):
        warm_each(NAMES, fail, context.schedule)
    assert list_due(context) == NAMES[2:]


def test_a_slow_subject_ends_the_turn_of_the_message(context: WorkerContext, clock: Clock) -> None:
    def hang(_: Subject) -> Outcome:
        clock.advance(TURN_SECONDS)
        return Outcome("postponed", "Telegram is slow")

    assert warm_each(NAMES, hang, context.schedule, clock) == "1 postponed, 2 left to the schedule"
    assert list_due(context) == sorted(NAMES[1:])


def test_a_worker_that_stops_begins_no_further_subject(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_: Subject) -> Outcome:
        monkeypatch.setattr(state, "should_stop", 0)  # as Celery's handler of SIGTERM does
        return Outcome("done")

    assert warm_each(NAMES, stop, context.schedule) == "1 done, 2 left to the schedule"
    assert list_due(context) == sorted(NAMES[1:])


def forget(context: WorkerContext, _: FakeTelegram, subject: Subject) -> None:
    context.redis.set(context.keys.forgotten(subject), 1)


def hold(context: WorkerContext, _: FakeTelegram, subject: Subject) -> None:
    context.steps.leases.take(subject, "warm")


def refuse(_: WorkerContext, telegram: FakeTelegram, subject: Subject) -> None:
    telegram.fail("getFile", "invalid-file-id", file_id=subject)


def break_off(_: WorkerContext, telegram: FakeTelegram, subject: Subject) -> None:
    telegram.fail("download", "internal-error", file_id=subject)


def back_off(context: WorkerContext, _: FakeTelegram, subject: Subject) -> None:
    context.redis.set(context.keys.backoff(subject), 1, ex=60)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("spoil", "outcome"),
    [
        (forget, "skipped"),
        (hold, "skipped"),
        (refuse, "unavailable"),
        (break_off, "postponed"),
        (back_off, "postponed"),
    ],
)
def test_a_subject_that_is_not_stored_takes_no_other_one_of_its_message_along(
    context: WorkerContext, telegram: FakeTelegram, spoil: Spoil, outcome: str
) -> None:
    first, second, third = [Subject(telegram.world.add_file(make_picture(200, 100))) for _ in range(3)]
    spoil(context, telegram, second)
    before = {kind: count_outcomes("warm", kind) for kind in ("done", outcome)}
    celery.send_task("warm", args=[first, "warm"], kwargs={"others": [second, third]}, queue="warm")
    wait_until(lambda: is_ready(context.steps.store, first) and is_ready(context.steps.store, third))
    wait_until(lambda: are_queues_empty(context))
    after = {kind: count_outcomes("warm", kind) for kind in ("done", outcome)}
    assert after == {"done": before["done"] + 2, outcome: before[outcome] + 1}
    assert not is_ready(context.steps.store, second)
