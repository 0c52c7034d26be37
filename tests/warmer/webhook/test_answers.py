"""What each answer of the receiver leads to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any

import pytest

from faketelegram import FakeTelegram
from tests.support.receiver import Receiver, drip
from tests.support.remaining import remaining
from tests.support.servers import reply
from tests.warmer.webhook.conftest import pin_and_warm
from tests.warmer.webhook.stored import count_events, get_next_attempt
from warmer.state.outbox import Outbox
from warmer.webhook.delivery import (
    FIRST_PAUSE_SECONDS,
    GIVE_UP_SECONDS,
    LONGEST_PAUSE_SECONDS,
    PLACES,
    SPREAD,
    Delivery,
    choose_pause,
)
from warmer.webhook.receiver import ATTEMPT_SECONDS
from warmer.webhook.receiver import Receiver as Client
from warmer.wiring import WorkerContext


@pytest.fixture
def impatient(context: WorkerContext, delivery: Delivery) -> Iterator[Delivery]:
    """A delivery that waits for half a second instead of 20 s."""
    client = Client(context.settings, PLACES, attempt_seconds=0.5)
    with closing(client), pytest.MonkeyPatch.context() as patch:
        patch.setattr(delivery, "_receiver", client)
        yield delivery


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
    person_id, _ = pin_and_warm(context, telegram)
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
    receiver.answer = lambda _: drip(b"HTTP/1.1 200 OK\r\n", b"X-Slow: 1\r\n")
    assert str(impatient.run(told)) == "postponed: no answer within 0.5 s"
    assert count_events(context, told) == 1


def test_a_body_that_drips_after_a_success_is_not_waited_for(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warmer.webhook.receiver.DRAIN_SECONDS", 0.05)
    ended = []

    def drip_to_the_end(_: object) -> Any:
        yield from islice(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"."), 101)
        ended.append(True)

    receiver.answer = drip_to_the_end
    assert delivery.run(told).kind == "done"
    assert count_events(context, told) == 0
    receiver.close()  # waits for the end of the connection
    assert not ended


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


def test_retry_after_is_obeyed(context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int) -> None:
    receiver.answer = lambda _: reply(b"", "Retry-After: 600", status=429)
    delivery.uniform = max
    delivery.run(told)
    assert get_next_attempt(context, told) == remaining(600 * SPREAD[1])


def test_of_a_receiver_that_throttles_no_other_id_gets_an_event(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int, telegram: FakeTelegram
) -> None:
    receiver.answer = lambda _: reply(b"", "Retry-After: 600", status=503)
    delivery.run(told)
    person_id, _ = pin_and_warm(context, telegram)
    assert "asked for a pause" in str(delivery.run(person_id))
    assert "asked for a pause" in str(delivery.run(told))
    assert len(receiver.got) == 1
    assert get_next_attempt(context, person_id) == remaining(600)
    context.redis.hset(context.keys.receiver, "paused_until", 1)
    receiver.answer = lambda _: reply(status=200)
    assert delivery.run(person_id).kind == delivery.run(told).kind == "done"


def test_during_a_pause_an_id_without_events_is_not_noted(
    context: WorkerContext, delivery: Delivery, told: int
) -> None:
    delivery.run(told)
    delivery.outbox.note_failure(600)
    assert delivery.run(told).kind == "skipped"
    assert not context.redis.exists(context.keys.undelivered)


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        (["Retry-After: 9999999"], LONGEST_PAUSE_SECONDS),
        (["Date: Sun, 29 Nov 2026 20:00:00 GMT", "Retry-After: Sun, 29 Nov 2026 20:10:00 GMT"], 600),
        (["Date: Sun, 29 Nov 2026 20:00:00 GMT", "Retry-After: Sun, 29 Nov 2026 19:10:00 GMT"], FIRST_PAUSE_SECONDS),
        (["Retry-After: soon"], FIRST_PAUSE_SECONDS),
        (["Retry-After: -1"], FIRST_PAUSE_SECONDS),
    ],
)
def test_retry_after_is_read_in_each_form(
    delivery: Delivery, receiver: Receiver, told: int, fields: list[str], seconds: float
) -> None:
    receiver.answer = lambda _: reply(b"", *fields, status=429)
    delivery.run(told)
    assert delivery.outbox.get_pause() == remaining(seconds)


def test_the_pauses_double_up_to_an_hour() -> None:
    pauses, age_seconds = [], 0.0
    while age_seconds < GIVE_UP_SECONDS:
        pauses.append(choose_pause(age_seconds, 0))
        age_seconds += pauses[-1]
    assert pauses[:6] == [5, 5, 10, 20, 40, 80]
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
    assert len(pauses) < 40
    assert choose_pause(0, 86_400) == LONGEST_PAUSE_SECONDS
