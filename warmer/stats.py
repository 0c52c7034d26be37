"""Minute buckets in Redis, for hit and error rates over hours: counted in the process, written once a second."""

from __future__ import annotations

import atexit
import logging
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

from redis import Redis
from redis.exceptions import RedisError

from warmer.keys import Keys

Field = Literal["requests", "hits", "misses", "not_found", "errors"]
KEEP_SECONDS = 25 * 3600
FLUSH_SECONDS = 1.0
log = logging.getLogger(__name__)


class MinuteStats:
    """Counts what the photo routes answered."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self.redis = redis
        self.keys = keys
        self._counts: Counter[Field] = Counter()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_behind = False
        atexit.register(self.flush)  # before the journal's exit, so that it runs after it

    def count(self, counts: Mapping[Field, int]) -> None:
        """Add these; the writer's thread starts with the first count, after the fork."""
        with self._lock:
            self._counts.update(counts)
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_on, name="stats", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Write what was counted into the bucket of this minute; kept for the next time where Redis is away."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            key = self.keys.stats(self.redis.time()[0] // 60)
            pipe = self.redis.pipeline()
            for field, count in counts.items():
                pipe.hincrby(key, field, count)
            pipe.expire(key, KEEP_SECONDS)
            pipe.execute()
        except RedisError as error:
            if not self._is_behind:  # one line an outage
                log.warning("figures kept for later: %s", type(error).__name__)
            self._is_behind = True
            with self._lock:
                self._counts.update(counts)
        else:
            self._is_behind = False

    def _write_on(self) -> None:
        while True:
            threading.Event().wait(FLUSH_SECONDS)
            self.flush()


def sum_minutes(redis: Redis, keys: Keys, minutes: int) -> Counter[str]:
    """The sum of the last so many minutes."""
    now = redis.time()[0] // 60
    pipe = redis.pipeline(transaction=False)
    for minute in range(now - minutes + 1, now + 1):
        pipe.hgetall(keys.stats(minute))
    buckets: Iterable[dict[bytes, bytes]] = pipe.execute()
    total: Counter[str] = Counter()
    for bucket in buckets:
        total.update({field.decode(): int(count) for field, count in bucket.items()})
    return total
