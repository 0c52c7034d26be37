"""How many subjects travel in one message. Celery's work is per message: four in one save an eighth of the CPU."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from redis import Redis
from redis.exceptions import RedisError

from warmer.keys import Keys, Lane
from warmer.state.workers import list_worker_statuses

SHARED_MAX = 4  # subjects per message; with more, some threads idle at the end of a batch while others work on
SHARED_LANES: tuple[Lane, ...] = ("warm", "rewarm")  # no client waits for them
LEAST_RATE = 128.0  # pictures per second; below it the budget is the limit, and sharing saves nothing
LOOK_SECONDS = 5.0  # between two looks at the workers
HEADER = "subjects"  # of a message with more than one


class Sharing:
    """Chooses how many subjects a message has, so that every thread of the workers has one."""

    def __init__(self, redis: Redis, keys: Keys, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.redis = redis
        self.keys = keys
        self.is_on = rate >= LEAST_RATE
        self._clock = clock
        self._threads = 0
        self._known_until = float("-inf")  # by that clock

    def choose_size(self, lane: Lane, subjects: int, waiting: int) -> int:
        """Returns how many of these subjects travel in one message, behind `waiting` other messages."""
        if not self.is_on or lane not in SHARED_LANES or subjects == 1:
            return 1
        threads = self._count_threads()
        return max(1, min(SHARED_MAX, (waiting + subjects) // threads)) if threads else 1

    def _count_threads(self) -> int:
        """Count the threads of all workers. Returns 0 if unknown, or if one warms one subject per message."""
        if self._clock() >= self._known_until:
            self._threads, self._known_until = 0, self._clock() + LOOK_SECONDS
            with suppress(RedisError):
                threads = [status.threads for status in list_worker_statuses(self.redis, self.keys)]
                self._threads = sum(threads) if all(threads) else 0
        return self._threads


def count_subjects(messages: Iterable[bytes]) -> int:
    """Count the subjects of these messages of a Redis queue."""
    return sum(json.loads(message)["headers"].get(HEADER, 1) for message in messages)
