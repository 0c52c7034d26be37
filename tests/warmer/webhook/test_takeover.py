"""One worker at a time sends the events of an id, and another one takes over from a worker that is killed or hangs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest
from redis.exceptions import ConnectionError

from tests.conftest import wait_until
from tests.support.clock import Clock
from tests.support.receiver import Receiver
from tests.support.remaining import remaining
from tests.warmer.flow.test_forget import filled
from tests.warmer.webhook.stored import (
    count_events,
    end_token,
    get_next_attempt,
    get_token_seconds,
    list_messages,
    make_due,
)
from warmer.keys import SENDING_SECONDS
from warmer.state.outbox import Outbox
from warmer.state.sending import Sending
from warmer.webhook.delivery import FIRST_PAUSE_SECONDS, Delivery
from warmer.webhook.receiver import ATTEMPT_SECONDS
from warmer.webhook.renewal import LEAD_SECONDS, LONGEST_SECONDS, RENEW_SECONDS, Renewal
from warmer.wiring import WorkerContext
from warmer.worker.beat_rounds import publish_undelivered

# Tokens


def test_a_worker_that_lost_its_turn_removes_no_event_of_another(
    context: WorkerContext, outbox: Outbox, told: int
) -> None:
    slow = outbox.take(told)
    assert slow
    end_token(context, told)
    quick = outbox.take(told)
    assert quick
    assert not outbox.sendings.renew(slow)
    assert not outbox.remove(slow)
    outbox.retry(slow, 0)
    assert count_events(context, told) == 1
    assert outbox.take(told) is None
    assert outbox.remove(quick)


def test_a_token_expires_some_seconds_after_its_last_renewal(context: WorkerContext, outbox: Outbox, told: int) -> None:
    sending = outbox.take(told)
    assert sending
    assert get_token_seconds(context, told) == remaining(SENDING_SECONDS)
    context.redis.expire(context.keys.sending(told), 3600)
    assert outbox.sendings.renew(sending)
    assert get_token_seconds(context, told) == remaining(SENDING_SECONDS)


def test_a_token_that_redis_has_evicted_is_back_after_the_next_renewal(
    context: WorkerContext, outbox: Outbox, told: int
) -> None:
    sending = outbox.take(told)
    assert sending
    end_token(context, told)
    with filled(context.redis):  # which may evict it again
        assert outbox.sendings.renew(sending)
    assert outbox.sendings.renew(sending)
    assert outbox.take(told) is None
    assert outbox.remove(sending)
    assert not context.redis.exists(context.keys.sending(told))


def test_the_event_of_a_killed_worker_is_published_when_its_token_has_expired(
    context: WorkerContext, delivery: Delivery, outbox: Outbox, receiver: Receiver, told: int
) -> None:
    list_messages(context)
    assert outbox.take(told)  # by a worker that is killed then
    context.redis.expire(context.keys.sending(told), 45)  # an earlier release does not renew it
    make_due(context, told)
    assert publish_undelivered(context, outbox) == 0
    assert get_next_attempt(context, told) == remaining(45)
    end_token(context, told)
    make_due(context, told)
    assert publish_undelivered(context, outbox) == 1
    assert list_messages(context) == [told]
    assert delivery.run(told).kind == "done"
    assert len(receiver.got) == 1


# Attempts


def test_an_event_that_another_worker_sends_is_left_to_it(
    context: WorkerContext, delivery: Delivery, outbox: Outbox, receiver: Receiver, told: int
) -> None:
    assert outbox.take(told)
    assert delivery.run(told).kind == "skipped"
    assert receiver.got == []
    end_token(context, told)  # that worker was killed
    delivery.run(told)
    assert len(receiver.got) == 1


def test_an_event_is_not_sent_so_late_that_another_worker_may_send_it_too(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()

    def wait() -> bool:
        clock.advance(SENDING_SECONDS)
        return True

    monkeypatch.setattr(delivery, "_clock", clock)
    monkeypatch.setattr(delivery._renewal, "_clock", clock)
    monkeypatch.setattr(delivery, "_wait_for_web", wait)
    assert str(delivery.run(told)) == "postponed: Redis was too slow"
    assert (receiver.got, count_events(context, told)) == ([], 1)
    assert get_next_attempt(context, told) == remaining(FIRST_PAUSE_SECONDS)


def test_a_hanging_attempt_keeps_its_event_while_it_is_renewed_and_ends_when_another_worker_has_it(
    context: WorkerContext, delivery: Delivery, outbox: Outbox, receiver: Receiver, told: int
) -> None:
    receiver.opened.clear()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(delivery.run, told)
        wait_until(lambda: receiver.got)
        context.redis.expire(context.keys.sending(told), 3600)
        delivery._renewal.run()
        assert get_token_seconds(context, told) == remaining(SENDING_SECONDS)
        context.redis.set(context.keys.sending(told), "another", ex=3600)
        delivery._renewal.run()
        assert str(running.result()) == "postponed: the attempt was ended, since another worker may send the event"
    receiver.opened.set()
    assert (count_events(context, told), outbox.look().failures) == (1, 0)
    assert outbox.take(told) is None


def test_an_attempt_ends_before_its_token_if_redis_does_not_renew_it(
    context: WorkerContext, delivery: Delivery, receiver: Receiver, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Sending) -> bool:
        raise ConnectionError

    clock = Clock()
    monkeypatch.setattr(delivery, "_clock", clock)
    monkeypatch.setattr(delivery._renewal, "_clock", clock)
    monkeypatch.setattr(delivery._renewal, "_renew", fail)
    receiver.opened.clear()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(delivery.run, told)
        wait_until(lambda: receiver.got)
        delivery._renewal.run()
        clock.advance(SENDING_SECONDS - LEAD_SECONDS)
        assert "another worker may send" in str(running.result())
    assert get_next_attempt(context, told) == remaining(FIRST_PAUSE_SECONDS)
    assert delivery.outbox.take(told)


def test_a_thread_that_hangs_for_twice_an_attempt_leaves_its_event_to_another_worker(outbox: Outbox, told: int) -> None:
    clock = Clock()
    renewed: list[float] = []

    def renew(_: Sending) -> bool:
        renewed.append(clock())
        return True

    sending = outbox.take(told)
    assert sending
    began, renewal = clock(), Renewal(renew, clock)
    with closing(renewal), renewal.renewing(sending, began) as deadline:
        while deadline.remaining:
            renewal.run()
            clock.advance(RENEW_SECONDS)
    assert 2 * ATTEMPT_SECONDS - RENEW_SECONDS <= max(renewed) - began < LONGEST_SECONDS
    assert clock() - began <= LONGEST_SECONDS + SENDING_SECONDS
    renewed.clear()
    renewal.run()
    assert renewed == []


def test_a_token_that_cannot_be_renewed_does_not_keep_others_from_it(outbox: Outbox, told: int) -> None:
    asked: set[str] = set()

    def renew(sending: Sending) -> bool:
        asked.add(sending.token)
        raise ConnectionError

    sending = outbox.take(told)
    assert sending
    clock = Clock()
    renewal, other = Renewal(renew, clock), replace(sending, token="other")
    with closing(renewal), renewal.renewing(sending, clock()), renewal.renewing(other, clock()):
        renewal.run()
    assert asked == {sending.token, "other"}
