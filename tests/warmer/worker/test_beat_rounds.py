"""The rounds that beat starts: ticks publish the subjects that are due, and the newest partners are scheduled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from faketelegram import FakeTelegram
from tests.support.clock import Clock
from tests.support.remaining import remaining
from tests.support.steps import is_ready
from tests.warmer.conftest import list_next_runs
from warmer.deadline import JobContext
from warmer.flow.profile import refresh_profile
from warmer.flow.warm import warm_photo
from warmer.keys import LEASE_SECONDS, Subject
from warmer.photo import PhotoSize
from warmer.settings import Settings
from warmer.state.budget import Budget
from warmer.state.stats import sum_minutes
from warmer.wiring import WorkerContext
from warmer.worker import beat_rounds
from warmer.worker.beat_rounds import REWARM_MAX, SPREAD_SECONDS, keep_newest, run_tick

FID = "AgACAgIAAxkBAAIBcGab"


def list_published(context: WorkerContext) -> list[str]:
    """Take the waiting rewarm messages. Returns their subjects, oldest first."""
    subjects = []
    with context.publisher.app.connection_for_read() as connection:
        channel: Any = connection.default_channel
        while message := channel.basic_get("rewarm", no_ack=True):
            subjects.append(message.payload[0][0])
    return subjects


def run_rewarm_messages(context: WorkerContext) -> list[str]:
    """Do what a worker would with the waiting rewarm messages. Returns the outcomes."""
    outcomes = []
    for published in list_published(context):
        job, subject = JobContext.start("rewarm", 0), Subject(published)
        if subject.is_person:
            outcomes.append(str(refresh_profile(subject.user_id, job, context.steps)))
        else:
            outcomes.append(str(warm_photo(subject.file_id, job, context.steps)))
    return outcomes


def open_slots(context: WorkerContext) -> None:
    """Act as if the next period had begun."""
    context.redis.delete(context.keys.slot("tick"), context.keys.slot("keep_newest"))


def make_due(context: WorkerContext, *subjects: str) -> None:
    for subject in subjects:
        context.schedule.set(subject, -1)


# Due subjects


def test_a_tick_publishes_the_subjects_that_are_due_and_no_others(context: WorkerContext) -> None:
    make_due(context, f"{FID}1", f"{FID}2")
    context.schedule.set(f"{FID}3", 60)
    assert run_tick(context) == 2
    assert list_published(context) == [f"{FID}1", f"{FID}2"]


def test_a_subject_whose_message_is_lost_runs_again(context: WorkerContext) -> None:
    make_due(context, FID)
    run_tick(context)
    assert list_next_runs(context) == {FID: remaining(LEASE_SECONDS)}


def test_two_beats_run_one_round(context: WorkerContext) -> None:
    make_due(context, FID)
    assert [run_tick(context), run_tick(context)] == [1, 0]
    assert list_published(context) == [FID]


def test_a_tick_publishes_nothing_while_the_queue_is_full(context: WorkerContext) -> None:
    for number in range(REWARM_MAX - 1):
        context.publisher.publish(f"{FID}x{number}", "rewarm")
    make_due(context, f"{FID}1", f"{FID}2")
    assert run_tick(context) == 1
    open_slots(context)
    assert run_tick(context) == 0
    context.publisher.publish(FID, "rewarm")  # now the queue is more than full
    open_slots(context)
    assert run_tick(context) == 0
    assert list_next_runs(context)[f"{FID}2"] < 0


def slow_down(context: WorkerContext, rate: float) -> WorkerContext:
    settings = context.settings.model_copy(update={"telegram_rate": rate})
    return replace(context, settings=settings, budget=Budget(context.redis, context.keys, rate))


def test_a_tick_publishes_no_more_than_the_budget_allows(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beat_rounds, "TICK_SECONDS", 0.5)
    make_due(context, *(f"{FID}{number}" for number in range(30)))
    assert run_tick(slow_down(context, 12), Clock().sleep) == int(12 * 0.5 * 0.9)


def test_a_tick_spreads_many_messages_over_its_period(context: WorkerContext) -> None:
    make_due(context, *(f"{FID}{number}" for number in range(30)))
    clock = Clock()
    assert run_tick(slow_down(context, 12), clock.sleep) == len(clock.slept) > 1
    assert sum(clock.slept) == pytest.approx(0.8 * beat_rounds.TICK_SECONDS)
    assert len(set(clock.slept)) == 1  # evenly


def test_a_tick_publishes_one_subject_even_with_a_tiny_budget(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beat_rounds, "TICK_SECONDS", 0.1)
    make_due(context, f"{FID}1", f"{FID}2")
    assert run_tick(slow_down(context, 0.1), Clock().sleep) == 1


# Renewal


def test_a_renewal_extends_every_ttl_without_a_telegram_call(
    context: WorkerContext, file_id: str, telegram: FakeTelegram
) -> None:
    context.people.register(1, "Ann", file_id)
    warm_photo(file_id, JobContext.start("warm", 0), context.steps)
    stored = [context.keys.variant(file_id, size, "webp") for size in context.settings.photo_sizes] + [
        context.keys.preview(file_id)
    ]
    for key in stored:
        context.redis.expire(key, 100)
    telegram.reset()
    make_due(context, file_id)
    run_tick(context)
    assert run_rewarm_messages(context) == ["done"]
    assert not telegram.calls
    assert min(context.redis.ttl(key) for key in stored) > context.settings.photo_ttl * 0.89
    assert list_next_runs(context)[file_id] == remaining(context.settings.photo_ttl / 2)


# The newest partners


def test_every_picture_and_profile_of_the_newest_is_scheduled(context: WorkerContext) -> None:
    context.people.register(1, "pinned", f"{FID}1")
    context.people.register(2, "followed", None)
    context.people.show(context.people.get(2), PhotoSize(f"{FID}2", "unique", 320))
    context.people.register(3, "not looked up yet", None)
    assert keep_newest(context, uniform=max) == 3
    next_runs = list_next_runs(context)
    assert set(next_runs) == {f"{FID}1", f"{FID}2", "user:2", "user:3"}
    assert [next_runs[name] for name in ("user:2", "user:3")] == [remaining(SPREAD_SECONDS)] * 2


def test_evicted_pictures_of_the_newest_are_warm_after_the_next_round(context: WorkerContext, file_id: str) -> None:
    context.people.register(1, "Ann", file_id)
    warm_photo(file_id, JobContext.start("warm", 0), context.steps)
    context.redis.delete(*(context.keys.variant(file_id, size, "webp") for size in context.settings.photo_sizes))
    assert list_next_runs(context)[file_id] > 86_000  # the renewal
    keep_newest(context)
    run_tick(context)
    assert run_rewarm_messages(context) == ["done"]
    assert is_ready(context.steps.store, file_id)


def test_a_picture_that_is_retried_is_not_tried_earlier(context: WorkerContext, file_id: str) -> None:
    context.people.register(1, "Ann", file_id)
    context.schedule.set(file_id, 300)
    keep_newest(context)
    assert list_next_runs(context) == {file_id: remaining(300)}


def test_a_stored_picture_keeps_its_renewal(context: WorkerContext, file_id: str) -> None:
    context.people.register(1, "Ann", file_id)
    warm_photo(file_id, JobContext.start("warm", 0), context.steps)
    keep_newest(context)
    assert list_next_runs(context)[file_id] == remaining(context.settings.photo_ttl / 2)


def test_an_unavailable_picture_is_not_scheduled_early(
    context: WorkerContext, file_id: str, telegram: FakeTelegram
) -> None:
    telegram.fail("getFile", "invalid-file-id")
    context.people.register(1, "Ann", file_id)
    warm_photo(file_id, JobContext.start("warm", 0), context.steps)
    keep_newest(context)
    assert list_next_runs(context)[file_id] > 86_000


def test_only_the_configured_number_of_newest_partners_is_scheduled(context: WorkerContext) -> None:
    settings: Settings = context.settings.model_copy(update={"rewarm_partners": 60})
    for number in range(70):
        context.people.register(number + 1, "Ann", f"{FID}{number}")
    assert keep_newest(replace(context, settings=settings)) == 60
    assert set(list_next_runs(context)) == {f"{FID}{number}" for number in range(10, 70)}


def test_two_beats_schedule_the_newest_once(context: WorkerContext) -> None:
    context.people.register(1, "Ann", FID)
    assert [keep_newest(context), keep_newest(context)] == [1, 0]
    open_slots(context)
    assert keep_newest(context) == 1


def test_a_listed_id_without_a_record_is_removed(context: WorkerContext) -> None:
    context.people.register(1, "Ann", FID)
    context.redis.zadd(context.keys.recent, {"7": 1})
    keep_newest(context)
    assert context.people.list_recent_ids(10) == [1]


# Queue lengths


def test_lengths_are_recorded_once_per_minute(context: WorkerContext) -> None:
    make_due(context, f"{FID}1", f"{FID}2")
    context.publisher.publish(f"{FID}3", "warm")
    context.redis.zincrby(context.keys.schedule, -600, f"{FID}1")
    assert beat_rounds.sample_lengths(context)
    assert not beat_rounds.sample_lengths(context)
    noted = sum_minutes(context.redis, context.keys, 2)
    lengths = {"queue:tick": 0, "queue:hot": 0, "queue:warm": 1, "queue:rewarm": 0, "due": 3}
    assert {name: noted[name] for name in lengths} == lengths
    assert noted["late"] >= 600
