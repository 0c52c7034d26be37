"""Publishes jobs: one message per subject and lane, or for several where many are cold; bounded in time.

A failure never changes an answer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from secrets import token_hex
from typing import Any, Literal

from amqp.exceptions import AMQPError
from celery import Celery
from kombu import Connection, Producer, pools
from kombu.exceptions import KombuError
from kombu.utils.collections import eqhash
from redis import Redis
from redis.exceptions import RedisError

from warmer.broker.queues import DELIVER_TASK, WARM_TASK
from warmer.broker.sharing import HEADER, SHARED_LANES, Sharing, count_subjects
from warmer.broker.transport import cut_when_it_fails, open_anew_if_over
from warmer.keys import ENQUEUED_EXTRA_SECONDS, QUEUES, WANTED_SECONDS, Keys, Lane
from warmer.photo import VariantSpec
from warmer.request_id import MESSAGE_HEADER, get_request_id
from warmer.settings import Settings
from warmer.state.outbox import Outbox
from warmer.state.schedule import Schedule
from warmer.state.scripts import load_script

BREAKER_SECONDS = 1.0  # between a failure of the broker and the next attempt
BROKER_FAILED = (KombuError, AMQPError, RedisError, OSError)
LOST_SECONDS = 30.0  # after which a message counts as lost: its worker died, or could not schedule it
LATER_SECONDS = 5.0
EAGER_MAX = 1000  # waiting messages of a lane without waiting clients; further subjects go to the schedule
# Waiting messages for the webhook: each process looks at the queue after as many. Rounds of beat publish further ids.
EVENTS_MAX, EVENTS_UNTIL_LOOK = 1000, 100
EagerLane = Literal["warm", "rewarm"]  # no client waits for their messages
log = logging.getLogger(__name__)


class Publisher:
    """Queues subjects for the workers."""

    def __init__(
        self,
        app: Celery,
        redis: Redis,
        keys: Keys,
        schedule: Schedule,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.app = app
        self.redis = redis
        self.keys = keys
        self.schedule = schedule
        self.enqueued_ms = int((settings.photo_wait + ENQUEUED_EXTRA_SECONDS) * 1000)
        self.hot_max = settings.hot_max
        self.rate = settings.telegram_rate  # pictures per second, about
        self.sharing = Sharing(redis, keys, self.rate, clock)
        self._enqueue = load_script(redis, "lua/enqueue.lua")
        self._clock = clock
        self._closed_until = 0.0  # by that clock
        self._events_until_look = EVENTS_UNTIL_LOOK

    def close(self) -> None:
        """Close the connections to the broker. A later message opens others."""
        broker = self.app.connection_for_write()
        if eqhash(broker) in pools.connections:  # or closing would make a pool
            pool = pools.connections[broker]
            pool.resize(pool.limit, reset=True, ignore_errors=True)  # kombu's way to close them and to go on

    def publish_hot(self, subject: str, wanted: VariantSpec | None) -> bool:
        """Publish for a client that waits for this variant, unless a message is queued or a worker has the lease.

        Returns True if a worker will process it soon, False if too many messages wait or the broker is away.
        """
        keys = self.list_hot_keys(subject)
        args: list[int | str] = [self.enqueued_ms, str(wanted or ""), WANTED_SECONDS]
        is_needed = self._enqueue(keys=keys, args=args)  # by warmer/state/lua/enqueue.lua
        if not is_needed or not self._publish([subject], "hot"):  # it returns the subjects that it could not publish
            return True
        self.redis.delete(self.keys.enqueued(subject, "hot"))
        return False

    def list_hot_keys(self, subject: str) -> list[str]:
        """List the keys, all of one slot, that decide what `publish_hot` does: lease, marker, and the noted variants.

        It publishes if neither of the first two exists, and notes a variant that the set has not.
        """
        return [self.keys.lease(subject), self.keys.enqueued(subject, "hot"), self.keys.wanted(subject)]

    def publish(self, subject: str, lane: EagerLane) -> bool:
        """Publish unless a message is queued in this lane. Returns True if it is published or was queued.

        Nothing is lost: a subject that cannot be published is due at once.
        """
        return self._publish_eager([subject], lane)

    def publish_later(self, subject: str) -> None:
        """Schedule the subject for soon, in the lane that leaves most of the budget to others."""
        self.schedule.schedule_by([subject], LATER_SECONDS)

    def publish_all(self, subjects: Sequence[str], lane: EagerLane) -> None:
        """Publish many subjects, with one round trip to Redis and one look at the queue."""
        if subjects:
            self._publish_eager(subjects, lane)

    def _publish_eager(self, subjects: Sequence[str], lane: EagerLane) -> bool:
        pipe: Any = self.redis.pipeline(transaction=False)
        if lane == "warm":  # first: once a marker is set, a repeated call publishes nothing
            self.schedule.queue_by(pipe, subjects, count_lost_after(EAGER_MAX, self.rate))
        for subject in subjects:
            pipe.set(self.keys.enqueued(subject, lane), "1", nx=True, px=self.enqueued_ms)
        answers = pipe.execute(raise_on_error=False)
        new = [subject for subject, answer in zip(subjects, answers[-len(subjects) :], strict=True) if answer is True]
        refused = next((answer for answer in answers if isinstance(answer, Exception)), None)
        left = new if refused else self._publish(new, lane) if new else []
        if left:
            self.redis.delete(*(self.keys.enqueued(subject, lane) for subject in left))
        if refused:
            raise refused
        if left:
            self.schedule.set_all(left, 0)
        return not left

    def send_event(self, person_id: int) -> bool:
        """Publish that an id has events for the webhook.

        Returns False if the broker is away or too many messages wait: a round of beat publishes it later.
        """
        if self._clock() < self._closed_until:
            return False
        try:
            with self.app.producer_or_acquire() as producer, cut_when_it_fails(producer.connection):
                open_anew_if_over(producer.connection)
                if self._events_until_look <= 0:
                    self._events_until_look = min(self.count_room_for_events(producer.connection), EVENTS_UNTIL_LOOK)
                if self._events_until_look <= 0:
                    return False
                self._events_until_look -= 1
                self.app.send_task(DELIVER_TASK, args=[person_id], queue="webhook", producer=producer)
                return True
        except BROKER_FAILED as error:
            self._break(error)
            return False

    def count_room_for_events(self, by: Connection | None = None) -> int:
        """Count the messages for the webhook that may still join those that wait. Raises one of BROKER_FAILED."""
        return EVENTS_MAX - count_waiting(self.app, "webhook", by)

    def count_waiting(self, queue: str) -> int:
        """Count the messages that wait in this queue. Raises one of BROKER_FAILED."""
        return count_waiting(self.app, queue)

    def count_all_waiting(self) -> dict[str, int]:
        """Count the jobs that wait, by queue: each subject of a message is one. Raises one of BROKER_FAILED."""
        return {queue: self._count_jobs(queue) for queue in QUEUES}

    def _count_jobs(self, queue: str) -> int:
        waiting = self.count_waiting(queue)
        if not waiting or not self.sharing.is_on or queue not in SHARED_LANES:
            return waiting
        with self.app.connection_or_acquire() as connection:
            channel: Any = connection.default_channel
            if connection.transport.driver_type != "redis":  # no other broker gets messages with several
                return waiting
            return count_subjects(channel.client.lrange(f"{self.keys.queue_prefix}{queue}", 0, -1))

    def _publish(self, subjects: Sequence[str], lane: Lane) -> Sequence[str]:
        """Publish these in order, as long as there is room. Returns those that were not published."""
        if self._clock() < self._closed_until:
            return subjects
        confirmed = 0
        try:
            with self.app.producer_or_acquire() as producer, cut_when_it_fails(producer.connection):
                waiting = count_waiting(self.app, lane, producer.connection)
                accepted = subjects[: max(0, get_max_waiting(lane, self.hot_max) - waiting)]
                if lane == "warm":  # before the messages: a worker may end with one at once and choose the next run
                    self.schedule.schedule_by(accepted, count_lost_after(waiting, self.rate))
                has_batches = producer.supports_batch_publish  # RabbitMQ has none: it confirms one after another
                size = self.sharing.choose_size(lane, len(accepted), waiting) if has_batches else 1
                with producer.batch():  # Redis gets all in one round trip; `count_waiting` has declared the queue
                    for start in range(0, len(accepted), size):
                        self._send(producer, lane, *accepted[start : start + size])
                        confirmed += not has_batches
                return subjects[len(accepted) :]
        except BROKER_FAILED as error:
            self._break(error)
        return subjects[confirmed:]  # the broker may have some of these, too: a second job finds the picture stored

    def _send(self, producer: Producer, lane: Lane, subject: str, *others: str) -> None:
        headers: dict[str, Any] = {MESSAGE_HEADER: request_id} if (request_id := get_request_id()) else {}
        kwargs: dict[str, Any] = {}
        if others:
            headers[HEADER], kwargs["others"] = 1 + len(others), others
        self.app.send_task(
            WARM_TASK, args=[subject, lane], kwargs=kwargs, queue=lane, producer=producer, headers=headers or None,
            declare=[], argsrepr=repr([subject, lane]), kwargsrepr=repr(kwargs),
            task_id=token_hex(6),  # Flower's table has room for no longer one
        )  # fmt: skip

    def _break(self, error: BaseException) -> None:
        self._closed_until = self._clock() + BREAKER_SECONDS
        # kombu's own classes, such as BatchPublishError, do not tell a full Redis from a refused connection.
        cause = type(error.__cause__ or error).__name__
        log.warning("the broker is away (%s), not asked again for %.1f s", cause, BREAKER_SECONDS)


def get_max_waiting(lane: Lane, hot_max: int) -> int:
    """Returns how many messages may wait in this lane."""
    return hot_max if lane == "hot" else EAGER_MAX


def count_lost_after(waiting: int, rate: float) -> float:
    """Returns the seconds after which a message behind `waiting` others counts as lost, at `rate` pictures a second."""
    return LOST_SECONDS + waiting / rate


def count_waiting(app: Celery, queue: str, by: Connection | None = None) -> int:
    """Count the messages that wait in this queue, over this connection or one of the pool's.

    Raises one of BROKER_FAILED.
    """
    arguments = app.amqp.queues[queue].queue_arguments
    with app.connection_or_acquire(by) as connection, cut_when_it_fails(connection):
        open_anew_if_over(connection)
        # Not passive: kombu looks for a Redis queue without its key prefix, and finds none.
        declared = connection.default_channel.queue_declare(queue, durable=True, auto_delete=False, arguments=arguments)
        return int(declared.message_count)


def open_outbox(settings: Settings, redis: Redis, keys: Keys, publisher: Publisher) -> Outbox | None:
    """Open the events of the webhook, each with a message at once. Returns None if there is no webhook."""
    return Outbox(redis, keys, settings.webhook_url, publisher.send_event) if settings.webhook_url else None
