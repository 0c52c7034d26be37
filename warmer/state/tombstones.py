"""Keeps tombstones: they name the forgotten subjects until these are registered, resolved or warmed again.

A tombstone has no TTL, or Redis would evict it when memory is short, and the picture would come back. So their number
is limited here: beyond it, the oldest are dropped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from redis import Redis

from warmer.keys import Keys

TOMBSTONES_MAX = 200_000
TOMBSTONE_BYTES = 210  # of Redis memory, with its entry in the list, measured
DROP_BATCH = 1_000  # in one round trip: Redis serves pictures in between
DROP_SECONDS = 5.0  # of one round, then the next one goes on


def lift_tombstones(pipe: Any, keys: Keys, subjects: Sequence[str]) -> int:
    """Add to a pipeline: remove the tombstones of these, first from the list. Returns the number of commands."""
    names = [keys.forgotten(subject) for subject in subjects]
    if not names:
        return 0
    pipe.zrem(keys.tombstones, *names)
    for name in names:
        pipe.delete(name)
    return 1 + len(names)


def drop_oldest_tombstones(redis: Redis, keys: Keys, clock: Callable[[], float] = time.monotonic) -> int:
    """Drop the oldest beyond TOMBSTONES_MAX, for DROP_SECONDS at most. Returns how many were dropped."""
    dropped, end = 0, clock() + DROP_SECONDS
    while (excess := int(redis.zcard(keys.tombstones)) - TOMBSTONES_MAX) > 0:
        oldest: Any = redis.zrange(keys.tombstones, 0, min(excess, DROP_BATCH) - 1)
        pipe = redis.pipeline(transaction=False)
        for name in oldest:
            pipe.unlink(name)
        pipe.zrem(keys.tombstones, *oldest)
        pipe.execute()
        dropped += len(oldest)
        if clock() >= end:
            break
    return dropped
