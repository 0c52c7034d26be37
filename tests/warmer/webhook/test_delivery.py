"""Delivery: at least once, in order per id, and what each answer of the receiver leads to."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from faketelegram import FakeTelegram
from tests.conftest import make_picture, next_id, wait_until
from tests.support.receiver import Receiver
from tests.support.remaining import remaining
from tests.support.servers import reply
from tests.warmer.flow.conftest import follow, mark_old
from tests.warmer.webhook.conftest import pin, warm
from warmer.cache_tags import CacheTags
from warmer.photo_urls import PhotoUrls
from warmer.state.outbox import GRACE_SECONDS, OUTAGE_FAILURES, Outbox
from warmer.state.stats import sum_minutes
from warmer.webhook.delivery import (
    FIRST_PAUSE_SECONDS,
    GIVE_UP_SECONDS,
    LONGEST_PAUSE_SECONDS,
    PLACES,
    SPREAD,
    Delivery,
    choose_pause,
)
from warmer.webhook.payload import Payloads
from warmer.webhook.receiver import ATTEMPT_SECONDS
from warmer.webhook.receiver import Receiver as Client
from warmer.wiring import WorkerContext
from warmer.worker.beat_rounds import keep_newest, publish_undelivered


def count_events(context: WorkerContext, person_id: int) -> int:
    return int(context.redis.llen(context.keys.events(person_id)))


def get_next_attempt(context: WorkerContext, person_id: int) -> float:
    """Returns the seconds until it."""
    score: Any = context.redis.zscore(context.keys.undelivered, str(person_id))
    seconds, micros = context.redis.time()
    return float(score) - seconds - micros / 1e6


def make_due(context: WorkerContext, person_id: int) -> None:
    context.redis.zadd(context.keys.undelivered, {str(person_id): 1})


def age(context: WorkerContext, person_id: int, seconds: float) -> None:
    """Make the oldest event of this id older."""
    key = context.keys.events(person_id)
    event = json.loads(context.redis.lindex(key, 0) or "")
    context.redis.lset(key, 0, json.dumps(event | {"at": event["at"] - seconds}))


def list_messages(context: WorkerContext) -> list[int]:
    """Take the waiting messages. Returns their ids, oldest first."""
    ids = []
    with context.publisher.app.connection_for_read() as connection:
        channel: Any = connection.default_channel
        while message := channel.basic_get("webhook", no_ack=True):
            ids.append(message.payload[0][0])
    return ids


@pytest.fixture
def impatient(context: WorkerContext, delivery: Delivery) -> Iterator[Delivery]:
    """A delivery that waits for half a second instead of 20 s."""
    urls = PhotoUrls(context.settings.url_signing_keys, "", context.settings.photo_sizes)
    payloads = Payloads(urls, CacheTags(context.settings.init_data_secret))
    client = Client(context.settings, PLACES, attempt_seconds=0.5)
    with closing(Delivery(delivery.outbox, client, payloads.format, lambda: None, lambda _: None)) as impatient:
        yield impatient


# In order, at least once


def test_a_delivered_event_is_removed(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int
) -> None:
    assert str(delivery.run(told)) == "done: events: 1"
    assert delivery.run(told).kind == "skipped"
    assert (len(receiver.got), count_events(context, told)) == (1, 0)


def test_an_event_is_published_at_once(context: WorkerContext, told: int) -> None:
    assert list_messages(context) == [told]


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
    telegram.world.hide_photo(told)
    mark_old(context, told)
    follow(context, told)
    receiver.answer = lambda _: reply(status=503)
    delivery.run(told)
    assert receiver.list_types() == ["photo.changed"]
    receiver.answer = lambda _: reply(status=202)
    delivery.run(told)
    assert receiver.list_types() == ["photo.changed", "photo.changed", "photo.gone"]


def test_an_event_that_another_worker_sends_is_left_to_it(
    context: WorkerContext, delivery: Delivery, outbox: Outbox, receiver: Receiver, told: int
) -> None:
    assert outbox.take(told)
    assert delivery.run(told).kind == "skipped"
    assert receiver.got == []
    context.redis.delete(context.keys.sending(told))  # that worker was killed, and its token has expired
    delivery.run(told)
    assert len(receiver.got) == 1


def test_a_worker_that_lost_its_turn_removes_no_event_of_another(
    context: WorkerContext, outbox: Outbox, told: int
) -> None:
    slow = outbox.take(told)
    assert slow
    context.redis.delete(context.keys.sending(told))
    assert outbox.take(told)
    outbox.remove(slow)
    assert count_events(context, told) == 1


def test_the_token_of_a_sending_expires(context: WorkerContext, outbox: Outbox, told: int) -> None:
    assert outbox.take(told)
    assert context.redis.ttl(context.keys.sending(told)) == remaining(45)


def test_an_event_whose_message_is_lost_is_published_by_a_later_round(
    context: WorkerContext, outbox: Outbox, told: int
) -> None:
    list_messages(context)
    assert publish_undelivered(context, outbox) == 0
    assert get_next_attempt(context, told) <= GRACE_SECONDS
    make_due(context, told)
    assert publish_undelivered(context, outbox) == 1
    assert list_messages(context) == [told]
    assert publish_undelivered(context, outbox) == 0


def test_a_round_removes_the_note_of_an_id_without_events(
    context: WorkerContext, delivery: Delivery, outbox: Outbox, told: int
) -> None:
    delivery.run(told)
    make_due(context, told)
    assert outbox.take_due(10) == []
    assert context.redis.zcard(context.keys.undelivered) == 0


def test_a_note_that_is_written_during_a_round_stays(
    context: WorkerContext, delivery: Delivery, outbox: Outbox, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery.run(told)
    make_due(context, told)
    cancel_if = outbox.attempts.cancel_if

    def note_first(subject: str, next_run: str) -> None:
        outbox.note(told)
        cancel_if(subject, next_run)

    monkeypatch.setattr(outbox.attempts, "cancel_if", note_first)
    outbox.take_due(10)
    assert context.redis.zcard(context.keys.undelivered) == 1


def test_an_id_is_noted_before_its_event_is_written(
    context: WorkerContext, outbox: Outbox, user_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    context.people.register(user_id, "Ann", None)
    seen: list[int] = []
    note = outbox.note

    def look(person_id: int) -> None:
        seen.append(count_events(context, person_id))
        note(person_id)

    records: Any = context.people
    monkeypatch.setattr(records._records.outbox, "note", look)
    follow(context, user_id)
    assert seen == [0]
    assert count_events(context, user_id) == 1


def test_the_events_of_a_webhook_that_is_no_longer_set_are_deleted(
    context: WorkerContext, plain: WorkerContext, told: int
) -> None:
    keep_newest(plain)
    assert (count_events(context, told), context.redis.exists(context.keys.undelivered)) == (0, 0)


# What each answer leads to


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_each_status_from_200_to_299_is_a_success(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int, status: int
) -> None:
    receiver.answer = lambda _: [f"HTTP/1.1 {status} Fine\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()]
    delivery.run(told)
    assert count_events(context, told) == 0


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_is_a_failure(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int, status: int
) -> None:
    with Receiver() as other:
        receiver.answer = lambda _: reply(b"", f"Location: {other.hook}", status=status)
        assert str(delivery.run(told)) == f"postponed: status {status}"
        assert other.got == []
    assert count_events(context, told) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 502, 504])
def test_any_other_status_is_a_failure(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int, status: int
) -> None:
    receiver.answer = lambda _: reply(status=status)
    assert str(delivery.run(told)) == f"postponed: status {status}"
    assert count_events(context, told) == 1


def test_410_stops_the_receiver_loudly_and_drops_the_events_for_it(
    context: WorkerContext,
    delivery: Delivery,
    receiver: Receiver,
    told: int,
    telegram: FakeTelegram,
    caplog: pytest.LogCaptureFixture,
) -> None:
    receiver.answer = lambda _: reply(status=410)
    delivery.run(told)
    assert [record.levelname for record in caplog.records if "410" in record.getMessage()] == ["CRITICAL"]
    assert delivery.outbox.look().is_stopped
    pin(context, person_id := next_id(), file_id := telegram.world.add_file(make_picture()))
    warm(context, file_id)
    delivery.run(person_id)
    assert len(receiver.got) == 1
    assert (count_events(context, told), count_events(context, person_id)) == (0, 0)


def test_a_stopped_receiver_gets_new_events_once_it_is_resumed(
    delivery: Delivery, outbox: Outbox, receiver: Receiver, told: int
) -> None:
    outbox.stop()
    assert outbox.resume()
    assert not outbox.resume()
    delivery.run(told)
    assert len(receiver.got) == 1


def test_another_url_is_another_receiver(context: WorkerContext, outbox: Outbox) -> None:
    outbox.stop()
    other = Outbox(context.redis, context.keys, "https://elsewhere.example.org/hook", lambda _: None)
    assert (outbox.is_stopped(), other.is_stopped()) == (True, False)


def test_an_answer_after_the_deadline_is_a_failure(
    context: WorkerContext, receiver: Receiver, told: int, impatient: Delivery
) -> None:
    assert 15 <= ATTEMPT_SECONDS <= 30  # as Standard Webhooks recommends: 200 after 31 s is too late
    receiver.opened.clear()
    assert str(impatient.run(told)) == "postponed: no answer within 0.5 s"
    assert count_events(context, told) == 1


def test_a_dripping_answer_is_cut_at_the_deadline(
    context: WorkerContext, receiver: Receiver, told: int, impatient: Delivery
) -> None:

    def drip(_: object) -> Any:
        yield b"HTTP/1.1 200 OK\r\n"
        while True:  # until the connection is cut
            time.sleep(0.05)
            yield b"X-Slow: 1\r\n"

    receiver.answer = drip
    assert str(impatient.run(told)) == "postponed: no answer within 0.5 s"
    assert count_events(context, told) == 1


def test_of_a_body_of_10_mb_only_the_beginning_is_read(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int
) -> None:
    sent = [0]

    def flood(_: object) -> Any:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n"
        for _piece in range(640):
            yield bytes(16_384)
            sent[0] += 16_384

    receiver.answer = flood
    assert delivery.run(told).kind == "done"
    receiver.close()  # waits for the end of the connection
    assert sent[0] < 10_485_760
    assert count_events(context, told) == 0


def test_a_receiver_that_is_down_loses_nothing(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int
) -> None:
    receiver.close()
    assert str(delivery.run(told)).startswith("postponed: no answer (")
    assert count_events(context, told) == 1


def test_retry_after_is_obeyed_up_to_an_hour(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int
) -> None:
    receiver.answer = lambda _: reply(b"", "Retry-After: 600", status=429)
    delivery.run(told)
    assert 500 < get_next_attempt(context, told) <= 600 * SPREAD[1]


def test_the_pauses_double_up_to_an_hour() -> None:
    pauses, age_seconds = [], 0.0
    while age_seconds < GIVE_UP_SECONDS:
        pauses.append(choose_pause(age_seconds, 0))
        age_seconds += pauses[-1]
    assert pauses[:6] == [5, 5, 10, 20, 40, 80]
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
    assert len(pauses) < 40
    assert choose_pause(0, 86_400) == LONGEST_PAUSE_SECONDS


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
    telegram.world.hide_photo(told)
    mark_old(context, told)
    follow(context, told)
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


def test_forgetting_a_person_removes_the_record_of_a_dead_event(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int
) -> None:
    receiver.answer = lambda _: reply(status=500)
    age(context, told, GIVE_UP_SECONDS)
    delivery.run(told)
    assert delivery.outbox.look().dead
    context.steps.forget.person(told)
    assert delivery.outbox.look().dead == []


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
    context: WorkerContext, delivery: Delivery, receiver: Receiver, telegram: FakeTelegram
) -> None:
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


def test_a_failure_of_redis_frees_the_place(
    delivery: Delivery, receiver: Receiver, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from redis.exceptions import ConnectionError

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
