"""Delivery: at least once, in order per id, and beside a receiver that is slow or gone."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import Any

import pytest
from redis.exceptions import ConnectionError

from faketelegram import FakeTelegram
from tests.conftest import list_traces, make_picture, next_id, wait_until
from tests.support.receiver import Receiver
from tests.support.remaining import remaining
from tests.support.servers import reply
from tests.warmer.conftest import list_next_runs
from tests.warmer.webhook.conftest import hide, pin, warm
from tests.warmer.webhook.stored import age, count_events, get_next_attempt, list_messages
from warmer.deadline import Deadline, JobContext
from warmer.flow.warm import warm_photo
from warmer.state.outbox import OUTAGE_FAILURES, Outbox
from warmer.state.stats import sum_minutes
from warmer.webhook.delivery import (
    CACHE_SECONDS,
    FIRST_PAUSE_SECONDS,
    GIVE_UP_SECONDS,
    LONGEST_PAUSE_SECONDS,
    PLACES,
    SPREAD,
    Delivery,
)
from warmer.wiring import WorkerContext
from web.photos.cache import MAX_AGE_SECONDS

# In order, at least once


def test_a_delivered_event_is_removed(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int
) -> None:
    assert str(delivery.run(told)) == "done: events: 1"
    assert delivery.run(told).kind == "skipped"
    assert (len(receiver.got), count_events(context, told)) == (1, 0)


def test_a_failed_event_is_tried_again_with_the_same_id_and_body(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int
) -> None:
    receiver.answer = lambda _: reply(status=500)
    assert str(delivery.run(told)) == "postponed: status 500"
    assert get_next_attempt(context, told) <= FIRST_PAUSE_SECONDS * SPREAD[1]
    receiver.answer = lambda _: reply(status=200)
    delivery.run(told)
    first, second = receiver.got
    assert (first.id, first.body) == (second.id, second.body)


def test_a_later_event_waits_for_the_earlier_one(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int, telegram: FakeTelegram
) -> None:
    hide(context, telegram, told)
    receiver.answer = lambda _: reply(status=500)
    delivery.run(told)
    assert receiver.list_types() == ["photo.changed"]
    receiver.answer = lambda _: reply(status=202)
    delivery.run(told)
    assert receiver.list_types() == ["photo.changed", "photo.changed", "photo.gone"]


def test_an_event_waits_while_a_web_process_may_serve_the_former_picture(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CACHE_SECONDS == MAX_AGE_SECONDS
    monkeypatch.setattr(delivery, "_wait_for_web", lambda: False)
    assert "a web process" in str(delivery.run(told))
    assert (receiver.got, delivery.outbox.look().failures) == ([], 0)
    assert get_next_attempt(context, told) == remaining(FIRST_PAUSE_SECONDS)
    age(context, told, CACHE_SECONDS)  # no process serves it from memory any more
    assert delivery.run(told).kind == "done"


def test_a_picture_that_many_people_show_is_announced_by_several_jobs(
    context: WorkerContext, telegram: FakeTelegram
) -> None:
    ids, file_id = [next_id() for _ in range(30)], telegram.world.add_file(make_picture())
    for person_id in ids:
        pin(context, person_id, file_id)
    over, enough = Deadline(0), Deadline(60)
    assert not context.people.announce_ready(file_id, lambda _: "a", over)
    assert context.people.announce_ready(file_id, lambda _: "a", enough, ids[:1])
    assert [count_events(context, person_id) for person_id in ids[:2]] == [1, 0]
    assert context.people.announce_ready(file_id, lambda _: "a", enough)
    assert [count_events(context, person_id) for person_id in ids] == [1] * 30


def test_a_job_without_time_to_announce_to_all_people_is_postponed_and_the_next_one_ends_it(
    context: WorkerContext, telegram: FakeTelegram
) -> None:
    file_id = telegram.world.add_file(make_picture())
    warm(context, file_id)
    pin(context, person_id := next_id(), file_id)
    outcome = warm_photo(file_id, JobContext.start("warm", 2, seconds=0), context.steps)
    assert str(outcome).startswith("postponed: more people show it than one job announces")
    assert list_next_runs(context)[file_id] < 2
    warm(context, file_id)
    assert count_events(context, person_id) == 1


# Dead events


def test_after_an_hour_of_500_the_event_is_kept(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int
) -> None:
    receiver.answer = lambda _: reply(status=500)
    age(context, told, 3600)
    assert delivery.run(told).kind == "postponed"
    assert get_next_attempt(context, told) <= LONGEST_PAUSE_SECONDS * SPREAD[1]
    assert delivery.outbox.look().dead == []


def test_after_a_day_the_event_is_dead_and_the_next_one_is_delivered(
    context: WorkerContext,
    delivery: Delivery,
    receiver: Receiver,
    told: int,
    telegram: FakeTelegram,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hide(context, telegram, told)
    age(context, told, GIVE_UP_SECONDS)
    receiver.answer = lambda got: reply(status=500 if got.event["type"] == "photo.changed" else 200)
    delivery.run(told)
    assert receiver.list_types() == ["photo.changed", "photo.gone"]
    (dead,) = delivery.outbox.look().dead
    assert (dead.subject, dead.type, dead.reason) == (f"user:{told}", "photo.changed", "status 500")
    assert any("given up" in record.getMessage() for record in caplog.records)
    context.stats.flush()
    counted = sum_minutes(context.redis, context.keys, 2)
    assert (counted["events:dead"], counted["events:delivered"]) == (1, 1)


def test_a_dead_event_of_a_forgotten_person_is_counted_and_listed_without_its_id(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int
) -> None:
    assert delivery.run(told).kind == "done"
    context.steps.forget.person(told)
    age(context, told, GIVE_UP_SECONDS)
    receiver.answer = lambda _: reply(status=500)
    delivery.run(told)
    (dead,) = delivery.outbox.look().dead
    assert (dead.subject, dead.type, dead.reason) == ("a forgotten id", "photo.gone", "status 500")
    assert not {context.keys.dead, context.keys.dead_reasons} & {*list_traces(context.redis, told)}
    context.stats.flush()
    assert sum_minutes(context.redis, context.keys, 2)["events:dead"] == 1


def test_forgetting_a_person_removes_the_record_of_a_dead_event(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int
) -> None:
    receiver.answer = lambda _: reply(status=500)
    age(context, told, GIVE_UP_SECONDS)
    delivery.run(told)
    assert delivery.outbox.look().dead
    context.steps.forget.person(told)
    assert delivery.outbox.look().dead == []


def test_a_person_who_is_forgotten_while_a_dead_event_is_recorded_is_not_named(
    context: WorkerContext, outbox: Outbox, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending = outbox.take(told)
    assert sending
    outbox.note_dead(replace(sending, person_id=(other := next_id())), "status 500")
    note = outbox._note_dead

    def forget_first(**options: Any) -> None:
        if str(told) in options["args"][0]:
            context.steps.forget.person(told)
        note(**options)

    monkeypatch.setattr(outbox, "_note_dead", forget_first)
    outbox.note_dead(sending, "status 500")
    assert {dead.subject for dead in outbox.look().dead} == {f"user:{other}", "a forgotten id"}
    assert not {context.keys.dead, context.keys.dead_reasons} & {*list_traces(context.redis, told)}


# A slow receiver


def test_the_end_of_an_outage_makes_every_id_due(
    context: WorkerContext, delivery: Delivery, outbox: Outbox, receiver: Receiver, told: int
) -> None:
    outbox.attempts.set(str(next_id()), 3000)
    receiver.answer = lambda _: reply(status=500)
    for _ in range(OUTAGE_FAILURES):
        delivery.run(told)
    assert outbox.look().failures == OUTAGE_FAILURES
    receiver.answer = lambda _: reply(status=200)
    delivery.run(told)
    assert outbox.look().failures == 0
    scores: Any = context.redis.zrange(context.keys.undelivered, 0, -1, withscores=True)
    assert all(at <= context.redis.time()[0] + 1 for _, at in scores)


def test_a_hanging_receiver_occupies_few_threads_and_the_others_follow(
    context: WorkerContext,
    delivery: Delivery,
    receiver: Receiver,
    telegram: FakeTelegram,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("warmer.webhook.delivery.TURN_SECONDS", 600)  # on a machine of any speed
    file_id, ids = telegram.world.add_file(make_picture()), [next_id() for _ in range(PLACES + 2)]
    for person_id in ids:
        pin(context, person_id, file_id)
    warm(context, file_id)
    receiver.opened.clear()
    threads = [threading.Thread(target=delivery.run, args=[person_id]) for person_id in ids[:PLACES]]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(receiver.got) == PLACES)
    outcomes = {delivery.run(person_id).kind for person_id in ids[PLACES:]}
    assert (outcomes, len(receiver.got)) == ({"postponed"}, PLACES)
    receiver.opened.set()
    for thread in threads:
        thread.join()
    assert {got.event["data"]["id"] for got in receiver.got} == set(ids)


def test_ids_that_wait_at_the_end_of_a_turn_get_a_message(
    context: WorkerContext,
    delivery: Delivery,
    receiver: Receiver,
    telegram: FakeTelegram,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("warmer.webhook.delivery.TURN_SECONDS", 0)
    file_id, ids = telegram.world.add_file(make_picture()), [next_id() for _ in range(PLACES + 1)]
    for person_id in ids:
        pin(context, person_id, file_id)
    warm(context, file_id)
    list_messages(context)
    receiver.opened.clear()
    threads = [threading.Thread(target=delivery.run, args=[person_id]) for person_id in ids[:PLACES]]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(receiver.got) == PLACES)
    for _ in range(2):
        delivery.run(ids[-1])
    receiver.opened.set()
    for thread in threads:
        thread.join()
    assert (len(receiver.got), list_messages(context)) == (PLACES, ids[-1:])


def test_an_id_with_events_left_at_the_end_of_a_turn_gets_a_message(
    context: WorkerContext,
    delivery: Delivery,
    receiver: Receiver,
    told: int,
    telegram: FakeTelegram,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("warmer.webhook.delivery.TURN_SECONDS", 0)
    hide(context, telegram, told)
    for types, messages in ((["photo.changed"], [told]), (["photo.changed", "photo.gone"], [])):
        list_messages(context)
        delivery.run(told)
        assert (receiver.list_types(), list_messages(context)) == (types, messages)


def test_a_closed_delivery_starts_no_attempt(delivery: Delivery, receiver: Receiver, told: int) -> None:
    delivery.close()
    delivery.run(told)
    assert receiver.got == []


def test_a_failure_of_redis_frees_the_place(
    delivery: Delivery, receiver: Receiver, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(delivery.outbox, "take", fail)
        for _ in range(PLACES + 1):
            with pytest.raises(ConnectionError):
                delivery.run(told)
    delivery.run(told)
    assert len(receiver.got) == 1


def test_no_line_and_no_value_names_the_url_or_the_secret(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "warmer")
    receiver.close()
    age(context, told, GIVE_UP_SECONDS)
    delivery.run(told)
    (dead,) = delivery.outbox.look().dead
    said = " ".join(
        [dead.reason, *(record.getMessage() for record in caplog.records if record.name.startswith("warmer"))]
    )
    assert "/hook" not in said
    assert "whsec" not in said
