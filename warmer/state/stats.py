"""Minute buckets in Redis, for figures over hours: each process counts, and writes once per second.

| field | what | counted by |
|---|---|---|
| `requests`, `hits`, `misses`, `not_found`, `errors` | answers of the photo routes | web |
| `shed` | misses that are refused at once | web |
| `hit_ms:<bound>`, `miss_ms:<bound>` | served photos that took at most these ms, and more than the bound before | web |
| `calls`, `failed_calls`, `pauses` | calls to Telegram; those without a usable answer; 429 | workers |
| `warmings`, `failures` | jobs that were not skipped; failures of a subject | workers |
| `unavailable:<cause>` | negative cache entries | workers |
| `events:<outcome>` | attempts to deliver an event: delivered, failed, dead, dropped after a 410 | workers |
| `queue:<name>`, `due`, `workers` | their number at an instant of that minute | a worker, once a minute |
| `late` | seconds by which the schedule is late at that instant | a worker, once a minute |
"""

from __future__ import annotations

import logging
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

from redis import Redis
from redis.exceptions import RedisError

from warmer.keys import STATS_SECONDS, Keys
from warmer.repeater import Repeater

FLUSH_SECONDS = 1.0
HIT_RATE_MIN, ERROR_RATE_MAX = 0.90, 0.01  # targets: `/ops` marks a figure that misses them
CACHED_MS_MAX, UNCACHED_MS_MAX = 100, 500  # of the p99
WAITING_MAX = 100  # messages in a queue, for longer than some minutes: more mean that the workers do not keep up
LATENCY_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)  # upper bounds; the last also counts slower ones
log = logging.getLogger(__name__)


class MinuteStats:
    """The figures of one process."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self.redis = redis
        self.keys = keys
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._is_behind = False
        self._writer = Repeater("stats", FLUSH_SECONDS, self.flush)

    def count(self, counts: Mapping[str, int]) -> None:
        """Add these. The first call, after the fork, starts the thread that writes them."""
        with self._lock:
            self._counts.update(counts)
        self._writer.ensure_started()

    def flush(self) -> None:
        """Write the counts into the bucket of this minute. If Redis is away, keep them for the next time."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            key = self.keys.stats(self.redis.time()[0] // 60)
            pipe = self.redis.pipeline()
            for field, count in counts.items():
                pipe.hincrby(key, field, count)
            pipe.expire(key, STATS_SECONDS)
            pipe.execute()
        except RedisError as error:
            if not self._is_behind:  # one line per outage
                log.warning("figures kept for later: %s", type(error).__name__)
            self._is_behind = True
            with self._lock:
                self._counts.update(counts)
        else:
            self._is_behind = False

    def sample(self, numbers: Mapping[str, int]) -> None:
        """Write numbers of this instant; a later sample of the same minute replaces them."""
        key = self.keys.stats(self.redis.time()[0] // 60)
        pipe = self.redis.pipeline()
        for name, number in numbers.items():
            pipe.hset(key, name, str(number))
        pipe.expire(key, STATS_SECONDS)
        pipe.execute()

    def close(self) -> None:
        """Stop the thread, and write the counts since its last run."""
        self._writer.close()
        self.flush()


def count_latencies(result: Literal["hit", "miss"], seconds: Iterable[float]) -> Counter[str]:
    """Returns the fields of a minute for photos that took these seconds."""
    last = len(LATENCY_MS) - 1
    places = Counter(min(bisect_left(LATENCY_MS, 1000 * value), last) for value in seconds)
    return Counter({f"{result}_ms:{LATENCY_MS[place]}": number for place, number in places.items()})


def list_minutes(redis: Redis, keys: Keys, minutes: int) -> tuple[int, list[Counter[str]]]:
    """Returns the current minute since 1970, and that many buckets up to now, oldest first, in two round trips.

    A minute in which nothing was counted is empty.
    """
    now = redis.time()[0] // 60
    pipe = redis.pipeline(transaction=False)
    for minute in range(now - minutes + 1, now + 1):
        pipe.hgetall(keys.stats(minute))
    buckets: Iterable[dict[bytes, bytes]] = pipe.execute()
    return now, [Counter({field.decode(): int(count) for field, count in bucket.items()}) for bucket in buckets]


def sum_minutes(redis: Redis, keys: Keys, minutes: int) -> Counter[str]:
    """Returns the sum over the last minutes. For sampled fields it is meaningless."""
    total: Counter[str] = Counter()
    for bucket in list_minutes(redis, keys, minutes)[1]:
        total.update(bucket)
    return total
