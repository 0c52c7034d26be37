"""Publishing to the queue: one message per subject and lane, bounded, and no failure reaches the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from celery import Celery
from celery.signals import after_task_publish, before_task_publish
from kombu.transport import TRANSPORT_ALIASES, memory, virtual
from redis.exceptions import ResponseError

from benches.round_trips import counting
from tests.support.cli_parts import send_heartbeat
from tests.support.clock import Clock
from tests.support.redis_kinds import connect_broker
from tests.support.remaining import remaining
from tests.support.waiting import wait_until
from warmer.broker.publish import BREAKER_SECONDS, BROKER_FAILED, EagerLane, Publisher
from warmer.broker.queues import list_queues
from warmer.photo import VariantSpec
from warmer.settings import load_settings
from warmer.wiring import WorkerContext

FID, OTHER = "AgACAgIAAxkBAAIBcGab", "AgACAgIAAxkBAAIBcGac"
ASKED_SECONDS, HOT_MAX = 5.0, 3
NO_BROKER = "redis://127.0.0.1:1/0"


class SmallChannel(memory.Channel):
    """Confirms one message after another, like RabbitMQ, and has room for two."""

    def _put(self, queue: str, message: Any, **options: Any) -> None:
        if self._size(queue) == 2:
            raise OSError("the queue is full")
        super()._put(queue, message, **options)


class SmallTransport(memory.Transport):
    Channel = SmallChannel
    global_state = virtual.BrokerState()


def open_publisher(context: WorkerContext, app: Celery, clock: Callable[[], float] = time.monotonic) -> Publisher:
    return Publisher(app, context.redis, context.keys, context.schedule, load_settings(hot_max=HOT_MAX), clock)


@pytest.fixture
def publisher(context: WorkerContext) -> Publisher:
    return open_publisher(context, context.publisher.app)


@pytest.fixture
def app_without_broker() -> Iterator[Celery]:
    """An app whose broker does not exist."""
    with Celery("away", broker=NO_BROKER, set_as_current=False) as app:
        app.conf.update(task_publish_retry=False, broker_transport_options={"max_retries": 0})
        app.conf.update(
            broker_read_url=NO_BROKER, broker_write_url=NO_BROKER
        )  # otherwise Celery takes those of the environment
        yield app


@pytest.fixture
def app_with_small_broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    monkeypatch.setitem(TRANSPORT_ALIASES, "small", f"{__name__}:SmallTransport")
    monkeypatch.setattr(SmallChannel, "queues", {})  # otherwise it would share those of all memory channels
    with Celery("small", broker="small://", set_as_current=False) as app:
        app.conf.update(task_publish_retry=False, task_queues=list_queues(load_settings()))
        app.conf.update(broker_read_url="small://", broker_write_url="small://")
        yield app


@pytest.fixture
def cut_off(context: WorkerContext, app_without_broker: Celery, clock: Clock) -> Publisher:
    return open_publisher(context, app_without_broker, clock)


def count(publisher: Publisher) -> dict[str, int]:
    """Returns the number of waiting messages by queue."""
    return {queue: publisher.count_waiting(queue) for queue in ("hot", "warm", "rewarm")}


def test_a_message_enters_the_queue_of_its_lane(publisher: Publisher) -> None:
    assert publisher.publish(FID, "warm")
    assert count(publisher) == {"hot": 0, "warm": 1, "rewarm": 0}


def test_the_enqueued_marker_expires(publisher: Publisher, context: WorkerContext) -> None:
    publisher.publish_hot(FID, None)
    assert context.redis.pttl(context.keys.enqueued(FID, "hot")) / 1000 == remaining(ASKED_SECONDS)


def test_many_requests_for_one_picture_publish_one_message(publisher: Publisher) -> None:
    publisher.enqueued_ms = 600_000  # longer than a slow machine takes for them
    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(lambda _: publisher.publish_hot(FID, None), range(50)))
    assert count(publisher)["hot"] == 1


def test_a_hot_message_is_published_beside_a_waiting_warm_one(publisher: Publisher) -> None:
    assert publisher.publish(FID, "warm")
    assert publisher.publish_hot(FID, None)
    assert count(publisher) == {"hot": 1, "warm": 1, "rewarm": 0}


def test_above_hot_max_no_hot_message_is_published(publisher: Publisher, context: WorkerContext) -> None:
    asked = [publisher.publish_hot(f"{FID}{number}", None) for number in range(HOT_MAX + 2)]
    assert asked == [True] * HOT_MAX + [False] * 2
    assert count(publisher)["hot"] == HOT_MAX
    assert not context.redis.exists(context.keys.enqueued(f"{FID}{HOT_MAX}", "hot"))
    assert context.schedule.count() == 0


def test_hot_max_does_not_limit_the_other_lanes(publisher: Publisher) -> None:
    asked = [publisher.publish(f"{FID}{number}", "warm") for number in range(HOT_MAX + 2)]
    assert asked == [True] * (HOT_MAX + 2)


def test_an_unknown_queue_is_empty(publisher: Publisher) -> None:
    assert publisher.count_waiting("no-such-queue") == 0


def test_a_message_contains_subject_and_lane_and_no_point_in_time(publisher: Publisher, context: WorkerContext) -> None:
    publisher.publish(FID, "warm")
    with publisher.app.connection_for_read() as connection:
        channel: Any = connection.default_channel
        message = channel.basic_get("warm", no_ack=True)
    assert message.payload[0] == [FID, "warm"]
    assert [message.headers[name] for name in ("expires", "eta")] == [None, None]
    assert context.settings.telegram_bot_token.get_secret_value() not in str(message.payload) + str(message.headers)


def test_the_next_run_that_a_quick_worker_chooses_is_kept(publisher: Publisher, context: WorkerContext) -> None:
    def end_at_once(**_: object) -> None:
        context.schedule.set(FID, 3600)

    after_task_publish.connect(end_at_once)
    try:
        publisher.publish(FID, "warm")
    finally:
        after_task_publish.disconnect(end_at_once)
    assert context.schedule.count_within(3500) == [0]
    assert context.schedule.count() == 1


def test_many_messages_reach_redis_in_one_round_trip(publisher: Publisher) -> None:
    publisher.publish_all([FID], "warm")  # opens the connection
    with counting() as counts:
        publisher.publish_all([f"{FID}{number}" for number in range(50)], "warm")
    (trips,) = counts.values()
    assert trips["Celery"] == 2  # the length of the queue, and all messages
    assert count(publisher)["warm"] == 51


def test_messages_that_the_broker_refuses_go_to_the_schedule(
    publisher: Publisher, context: WorkerContext, caplog: pytest.LogCaptureFixture
) -> None:
    def spoil_the_queue(**_: object) -> None:
        connect_broker(context.settings).set(f"{context.keys.queue_prefix}rewarm", "no list")

    before_task_publish.connect(spoil_the_queue)
    try:
        publisher.publish_all([FID, OTHER], "rewarm")
    finally:
        before_task_publish.disconnect(spoil_the_queue)
    assert not context.redis.exists(*(context.keys.enqueued(subject, "rewarm") for subject in (FID, OTHER)))
    assert sorted(context.schedule.take(10, 60)) == [FID, OTHER]
    assert "the broker is away (ResponseError)" in caplog.text  # not the class of every failed batch


def test_messages_that_the_broker_has_confirmed_stay_when_a_later_one_fails(
    context: WorkerContext, app_with_small_broker: Celery
) -> None:
    def end_at_once(**_: object) -> None:
        context.schedule.set(subjects[0], 3600)

    publisher = open_publisher(context, app_with_small_broker)
    subjects = [f"{FID}{number}" for number in range(5)]
    after_task_publish.connect(end_at_once)
    try:
        publisher.publish_all(subjects, "warm")
    finally:
        after_task_publish.disconnect(end_at_once)
    assert publisher.count_waiting("warm") == 2
    markers = [context.redis.exists(context.keys.enqueued(subject, "warm")) for subject in subjects]
    assert markers == [1, 1, 0, 0, 0]
    assert context.schedule.count_within(3500) == [4]  # the first keeps the next run that its worker has chosen
    assert sorted(context.schedule.take(10, 60)) == subjects[2:]


def test_a_broker_that_confirms_each_message_gets_one_per_subject(
    context: WorkerContext, app_with_small_broker: Celery
) -> None:
    publisher = open_publisher(context, app_with_small_broker)
    publisher.sharing.is_on = True
    send_heartbeat(context, threads=1)
    publisher.publish_all([FID, OTHER], "warm")
    assert publisher.count_all_waiting()["warm"] == publisher.count_waiting("warm") == 2


def test_a_closed_publisher_has_no_connection_to_the_broker_and_opens_one_for_the_next_message(
    publisher: Publisher,
) -> None:
    def list_clients() -> set[str]:
        return {client["id"] for client in connect_broker(load_settings()).client_list()}

    publisher.publish(FID, "warm")
    opened = list_clients()
    publisher.close()
    wait_until(lambda: list_clients() < opened)
    assert publisher.publish(OTHER, "warm")
    assert count(publisher)["warm"] == 2


# Without a broker


def test_without_a_broker_a_hot_request_is_refused(cut_off: Publisher, context: WorkerContext) -> None:
    assert cut_off.publish_hot(FID, None) is False
    assert not context.redis.exists(context.keys.enqueued(FID, "hot"))
    assert context.schedule.count() == 0


@pytest.mark.parametrize("lane", ["warm", "rewarm"])
def test_without_a_broker_eager_requests_go_to_the_schedule(
    cut_off: Publisher, context: WorkerContext, lane: EagerLane
) -> None:
    assert cut_off.publish(FID, lane) is False
    assert not context.redis.exists(context.keys.enqueued(FID, lane))
    assert context.schedule.take(10, 60) == [FID]


def test_without_a_broker_the_length_of_a_queue_is_unknown(cut_off: Publisher) -> None:
    with pytest.raises(BROKER_FAILED):
        cut_off.count_waiting("hot")


def test_a_failed_broker_is_skipped_for_some_seconds(
    cut_off: Publisher, context: WorkerContext, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(20):
        assert not cut_off.publish(f"{FID}{number}", "warm")
    assert len([record for record in caplog.records if "broker is away" in record.message]) == 1
    assert context.schedule.count() == 20


def test_a_recovered_broker_is_used_again(cut_off: Publisher, context: WorkerContext, clock: Clock) -> None:
    assert not cut_off.publish(FID, "warm")
    cut_off.app = context.publisher.app
    clock.advance(BREAKER_SECONDS - 0.1)
    assert not cut_off.publish(FID, "warm")
    clock.advance(0.2)
    assert cut_off.publish(FID, "warm")
    assert count(cut_off)["warm"] == 1


def test_an_event_of_the_webhook_has_a_queue_of_its_own(publisher: Publisher) -> None:
    publisher.send_event(42)
    assert publisher.count_all_waiting() == {"tick": 0, "hot": 0, "warm": 0, "rewarm": 0, "webhook": 1}


def test_messages_for_the_webhook_are_bounded_while_no_worker_takes_them(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warmer.broker.publish.EVENTS_MAX", 5)
    monkeypatch.setattr("warmer.broker.publish.EVENTS_UNTIL_LOOK", 2)
    publisher = open_publisher(context, context.publisher.app)
    assert [publisher.send_event(person_id) for person_id in range(8)] == [True] * 5 + [False] * 3
    assert publisher.count_waiting("webhook") == 5
    connect_broker(load_settings()).flushall()
    assert publisher.send_event(42)


def test_without_a_broker_an_event_of_the_webhook_raises_nothing_and_skips_the_broker_for_some_seconds(
    cut_off: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    assert [cut_off.send_event(42) for _ in range(3)] == [False] * 3
    assert len([record for record in caplog.records if "broker is away" in record.message]) == 1


def test_eager_messages_are_bounded_and_the_rest_is_scheduled(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warmer.broker.publish.EAGER_MAX", 3)
    subjects = [f"AgACAgIAAxkBAAIBbound{number}" for number in range(5)]
    for subject in subjects:
        context.publisher.publish(subject, "warm")
    assert context.publisher.count_waiting("warm") == 3
    assert sorted(context.schedule.take(10, 60)) == subjects[3:]


def test_a_picture_that_a_worker_has_leased_is_not_published(context: WorkerContext) -> None:
    context.steps.leases.take("AgACAgIAAxkBAAIBheldheld", "warm")
    assert context.publisher.publish_hot("AgACAgIAAxkBAAIBheldheld", None)
    assert context.publisher.count_waiting("hot") == 0


def test_a_request_that_cannot_be_scheduled_does_not_count_as_enqueued(
    context: WorkerContext, publisher: Publisher
) -> None:
    context.redis.set(context.keys.schedule, "no sorted set")
    with pytest.raises(ResponseError):
        publisher.publish(FID, "warm")
    context.redis.delete(context.keys.schedule)
    assert publisher.publish(FID, "warm")
    assert count(publisher)["warm"] == 1


def test_an_eager_message_is_also_scheduled_and_a_hot_one_is_not(publisher: Publisher, context: WorkerContext) -> None:
    publisher.publish(FID, "warm")
    publisher.publish_hot(OTHER, None)
    assert context.redis.zrange(context.keys.schedule, 0, -1) == [FID.encode()]


def test_an_eager_message_behind_others_is_scheduled_later(publisher: Publisher, context: WorkerContext) -> None:
    publisher.rate = 0.01  # pictures per second: the first takes 100 s
    publisher.publish(FID, "warm")
    publisher.publish(OTHER, "warm")
    turns: Any = context.redis.zrange(context.keys.schedule, 0, -1, withscores=True)
    assert [subject for subject, _ in turns] == [FID.encode(), OTHER.encode()]
    assert turns[1][1] - turns[0][1] >= 100


def test_the_variant_that_a_client_waits_for_is_noted_for_a_minute_even_if_a_worker_has_the_lease(
    publisher: Publisher, context: WorkerContext
) -> None:
    key = context.keys.wanted(FID)
    publisher.publish_hot(FID, VariantSpec(160, "jpeg"))
    assert context.redis.smembers(key) == {b"160.jpeg"}
    assert context.redis.ttl(key) == remaining(60)
    context.redis.set(context.keys.lease(FID), "token")
    assert publisher.publish_hot(FID, VariantSpec(80, "jpeg"))
    assert context.redis.smembers(key) == {b"160.jpeg", b"80.jpeg"}
    assert count(publisher)["hot"] == 1
