"""The events in Redis: noted before they are written, found by a round of beat, and bounded."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest

from faketelegram import FakeTelegram
from tests.conftest import make_picture, next_id
from tests.support.clock import Clock
from tests.support.receiver import Got, Receiver
from tests.support.redis_kinds import connect_broker
from tests.support.remaining import remaining
from tests.support.servers import Pieces, reply
from tests.warmer.flow.conftest import follow
from tests.warmer.flow.test_forget import filled
from tests.warmer.webhook.conftest import pin, warm
from tests.warmer.webhook.stored import age, count_events, get_next_attempt, list_messages, make_due
from warmer.broker.publish import BREAKER_SECONDS
from warmer.cache_tags import CacheTags
from warmer.state.outbox import ABANDONED_SECONDS, GRACE_SECONDS, OUTAGE_FAILURES, Outbox
from warmer.state.records import EVENTS_MAX
from warmer.webhook.delivery import Delivery
from warmer.wiring import WorkerContext
from warmer.worker.beat_rounds import keep_newest, publish_undelivered


def test_an_event_is_published_at_once(context: WorkerContext, told: int) -> None:
    assert list_messages(context) == [told]


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


def test_a_round_publishes_no_more_messages_than_may_wait(
    context: WorkerContext, outbox: Outbox, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_due(context, told)
    monkeypatch.setattr("warmer.broker.publish.EVENTS_MAX", 1)
    assert publish_undelivered(context, outbox) == 0
    assert list_messages(context) == [told]
    assert publish_undelivered(context, outbox) == 1


def test_an_id_whose_message_cannot_be_published_stays_due(
    context: WorkerContext, outbox: Outbox, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_messages(context)
    make_due(context, told)
    with monkeypatch.context() as patch:
        patch.setattr(context.publisher, "send_event", lambda _: False)
        assert publish_undelivered(context, outbox) == 0
    assert publish_undelivered(context, outbox) == 1
    assert list_messages(context) == [told]


def test_the_note_of_an_event_ends_with_its_delivery(
    context: WorkerContext, delivery: Delivery, outbox: Outbox, told: int
) -> None:
    delivery.run(told)
    assert context.redis.zcard(context.keys.undelivered) == 0


def test_a_note_of_another_write_during_a_delivery_stays(
    context: WorkerContext, delivery: Delivery, outbox: Outbox, receiver: Receiver, told: int
) -> None:
    def note_and_answer(_: Got) -> Pieces:
        outbox.note(told)
        return reply(status=204)

    receiver.answer = note_and_answer
    delivery.run(told)
    assert get_next_attempt(context, told) == remaining(GRACE_SECONDS)


def test_a_round_removes_the_note_of_an_id_without_events(
    context: WorkerContext, delivery: Delivery, outbox: Outbox, told: int
) -> None:
    delivery.run(told)
    outbox.note(told)
    make_due(context, told)
    assert outbox.take_due(10) == []
    assert context.redis.zcard(context.keys.undelivered) == 0


def test_a_note_that_is_written_during_a_round_stays(
    context: WorkerContext, delivery: Delivery, outbox: Outbox, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery.run(told)
    outbox.note(told)
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
    """A worker with the webhook may run beside one without it."""
    for late, left in ((ABANDONED_SECONDS - 60, 1), (ABANDONED_SECONDS + 1, 0)):
        context.redis.zadd(context.keys.undelivered, {str(told): context.redis.time()[0] - late})
        context.redis.delete(context.keys.slot("keep_newest"))
        keep_newest(plain)
        assert (count_events(context, told), context.redis.exists(context.keys.undelivered)) == (left, left)


def test_events_that_have_waited_for_days_stay_while_the_webhook_is_set(context: WorkerContext, told: int) -> None:
    make_due(context, told)
    keep_newest(context)
    assert count_events(context, told) == 1


def test_the_instants_of_an_id_never_run_back(context: WorkerContext, outbox: Outbox, told: int) -> None:
    age(context, told, -1000)  # as if Redis' clock had been set back since
    context.steps.forget.person(told)
    first = outbox.take(told)
    assert first
    outbox.remove(first)
    second = outbox.take(told)
    assert second
    assert first.event.at < second.event.at


def test_events_that_pile_up_are_merged_into_the_next(
    context: WorkerContext,
    delivery: Delivery,
    receiver: Receiver,
    telegram: FakeTelegram,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("warmer.webhook.delivery.TURN_SECONDS", 600)  # on a machine of any speed
    person_id, files = (
        next_id(),
        [telegram.world.add_file(make_picture(color=(n, 0, 0))) for n in range(EVENTS_MAX + 5)],
    )
    for file_id in files:
        pin(context, person_id, file_id)
        warm(context, file_id)
    assert count_events(context, person_id) == EVENTS_MAX
    delivery.run(person_id)
    tags = CacheTags(context.settings.init_data_secret)
    assert len(receiver.got) == EVENTS_MAX
    last = receiver.got[-1].event["data"]
    assert files[-1] in last["photo_url"]
    assert {tags.of(file_id) for file_id in files[EVENTS_MAX - 1 : -1]} <= set(last["cache_tags"])
    assert tags.of(files[-1]) not in last["cache_tags"]
    assert len(set(last["cache_tags"])) == len(last["cache_tags"])


def test_an_event_in_an_unknown_form_blocks_nothing(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    for strange in ("nonsense", "1.0 {}", '1.0 {"type": "photo.gone"}'):
        context.redis.lpush(context.keys.events(told), strange)
    assert delivery.run(told).kind == "done"
    assert len(receiver.got) == 1
    assert len([record for record in caplog.records if "given up" in record.getMessage()]) == 3


def test_a_full_redis_gets_rid_of_its_events(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int
) -> None:
    with filled(context.redis):
        receiver.answer = lambda _: reply(status=500)
        assert delivery.run(told).kind == "postponed"
        assert get_next_attempt(context, told) > 0
        receiver.answer = lambda _: reply(status=200)
        assert delivery.run(told).kind == "done"
        context.steps.forget.person(told)
        assert delivery.run(told).kind == "done"
    assert receiver.list_types()[-1] == "photo.gone"


def test_a_queue_without_memory_takes_no_message_and_a_round_publishes_the_event_later(
    context: WorkerContext, outbox: Outbox, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(context.publisher, "_clock", clock)
    list_messages(context)
    with ExitStack() as full:
        for one in {context.redis, connect_broker(context.settings)}:
            full.enter_context(filled(one))
        context.steps.forget.person(told)
        assert count_events(context, told) == 2
    assert list_messages(context) == []
    clock.advance(BREAKER_SECONDS + 1)
    make_due(context, told)
    assert publish_undelivered(context, outbox) == 1
    assert list_messages(context) == [told]


def test_in_a_full_redis_the_end_of_an_outage_makes_every_id_due(
    context: WorkerContext, delivery: Delivery, outbox: Outbox, told: int
) -> None:
    outbox.attempts.set(str(other := next_id()), 3000)
    for _ in range(OUTAGE_FAILURES):
        outbox.note_failure()
    with filled(context.redis):
        assert delivery.run(told).kind == "done"
    assert get_next_attempt(context, other) <= 0


def test_only_ids_with_events_are_counted(
    context: WorkerContext, delivery: Delivery, outbox: Outbox, told: int
) -> None:
    assert outbox.look().ids == 1
    delivery.run(told)
    outbox.note(told)
    assert outbox.look().ids == 0
