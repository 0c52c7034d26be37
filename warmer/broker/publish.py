"""The way into the queue: one message per subject and lane, bounded in time, and never in the way of an answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Literal

from amqp.exceptions import AMQPError
from celery import Celery
from kombu import Connection
from kombu.exceptions import KombuError
from redis import Redis
from redis.exceptions import RedisError

from warmer.broker.transport import cut_when_it_fails, open_anew_if_over
from warmer.keys import QUEUES, Keys, Lane
from warmer.request_id import MESSAGE_HEADER, get_request_id
from warmer.settings import Settings
from warmer.state.schedule import Schedule

BREAKER_SECONDS = 1.0  # so long a broker that failed is left alone
BROKER_FAILED = (KombuError, AMQPError, RedisError, OSError)
ENQUEUED_EXTRA_SECONDS = 3.0  # beyond PHOTO_WAIT, for which a message counts as enqueued
LOST_SECONDS = 30.0  # after so long a message may be lost: a worker died with it, or could note it nowhere
LATER_SECONDS = 5.0
EAGER_MAX = 1000  # waiting messages of a lane that nobody waits for; what is more is due instead
log = logging.getLogger(__name__)


class Publisher:
    """Asks workers to warm a subject."""

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
        self.rate = settings.telegram_rate  # of pictures a second, about
        self._clock = clock
        self._closed_until = 0.0  # by that clock

    def ask(self, subject: str, lane: Lane) -> bool:
        """Publish unless a message is on its way in this lane; whether somebody will be at it soon.

        False in the hot lane means shed: too many wait, or the broker is away. The other lanes lose nothing: what
        cannot be published becomes due.
        """
        if lane == "hot" and self.redis.exists(self.keys.lease(subject)):
            return True  # its holder looks for wishes before it ends
        return self._ask([subject], lane)

    def ask_later(self, subject: str) -> None:
        """Publish nothing: the subject becomes due, for the lane that leaves most of the budget to others."""
        self.schedule.schedule_by([subject], LATER_SECONDS)

    def ask_all(self, subjects: Sequence[str], lane: Literal["warm", "rewarm"]) -> None:
        """The same for many that nobody waits for, with one look at Redis and one at the queue."""
        if subjects:
            self._ask(subjects, lane)

    def _ask(self, subjects: Sequence[str], lane: Lane) -> bool:
        if lane == "warm":
            # Before `asked`, which would make a repeat of nothing.
            self.schedule.schedule_by(subjects, count_lost_after(EAGER_MAX, self.rate))
        pipe = self.redis.pipeline(transaction=False)
        for subject in subjects:
            pipe.set(self.keys.enqueued(subject, lane), "1", nx=True, px=self.enqueued_ms)
        answers = pipe.execute(raise_on_error=False)
        new = [subject for subject, answer in zip(subjects, answers, strict=True) if answer is True]
        refused = next((answer for answer in answers if isinstance(answer, Exception)), None)
        left = new if refused else self._publish(new, lane) if new else []
        if left:
            self.redis.delete(*(self.keys.enqueued(subject, lane) for subject in left))
            if lane != "hot":
                self.schedule.set_all(left, 0)
        if refused:
            raise refused
        return not left

    def count_waiting(self, queue: str) -> int:
        """How many messages wait in this queue; raises one of BROKER_FAILED."""
        return count_waiting(self.app, queue)

    def count_all_waiting(self) -> dict[str, int]:
        """The same for every queue, by name."""
        return {queue: self.count_waiting(queue) for queue in QUEUES}

    def _publish(self, subjects: Sequence[str], lane: Lane) -> Sequence[str]:
        """Publish these in their order, as long as there is room; those that were not."""
        if self._clock() < self._closed_until:
            return subjects
        published = 0
        headers = {MESSAGE_HEADER: request_id} if (request_id := get_request_id()) else None
        try:
            with self.app.producer_or_acquire() as producer, cut_when_it_fails(producer.connection):
                waiting = count_waiting(self.app, lane, producer.connection)
                room = get_max_waiting(lane, self.hot_max) - waiting
                for subject in subjects[: max(0, room)]:
                    self.app.send_task("warm", args=[subject, lane], queue=lane, producer=producer, headers=headers)
                    published += 1
            if lane == "warm":
                self.schedule.schedule_by(subjects[:published], count_lost_after(waiting, self.rate))
        except BROKER_FAILED as error:
            self._closed_until = self._clock() + BREAKER_SECONDS
            log.warning("the broker is away (%s), not asked again for %.1f s", type(error).__name__, BREAKER_SECONDS)
        return subjects[published:]


def get_max_waiting(lane: Lane, hot_max: int) -> int:
    """How many messages may wait in this lane."""
    return hot_max if lane == "hot" else EAGER_MAX


def count_lost_after(waiting: int, rate: float) -> float:
    """The seconds after which a message behind `waiting` others counts as lost, at `rate` pictures per second."""
    return LOST_SECONDS + waiting / rate


def count_waiting(app: Celery, queue: str, by: Connection | None = None) -> int:
    """How many messages wait in this queue, asked by this connection or one of the pool's.

    Raises one of BROKER_FAILED.
    """
    arguments = app.amqp.queues[queue].queue_arguments
    with app.connection_or_acquire(by) as connection, cut_when_it_fails(connection):
        open_anew_if_over(connection)
        # Not passive: kombu looks for a Redis queue without its key prefix, and finds none.
        declared = connection.default_channel.queue_declare(queue, durable=True, auto_delete=False, arguments=arguments)
        return int(declared.message_count)
