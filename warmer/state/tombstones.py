"""Tombstones: which subjects were forgotten, until they are registered, resolved or warmed again.

A tombstone has no TTL, or Redis would evict it when memory is short, and the picture would come back. So their number
is limited here: beyond it, the oldest are dropped.
"""

from __future__ import annotations

from typing import Any

from redis import Redis

from warmer.keys import Keys

TOMBSTONES_MAX = 200_000
TOMBSTONE_BYTES = 210  # of Redis memory, with its entry in the list, measured
DROP_MAX = 10_000  # in one round


def drop_oldest_tombstones(redis: Redis, keys: Keys) -> int:
    """Drop the oldest beyond TOMBSTONES_MAX, one batch. Returns how many were dropped."""
    excess = int(redis.zcard(keys.tombstones)) - TOMBSTONES_MAX
    if excess <= 0:
        return 0
    oldest: Any = redis.zrange(keys.tombstones, 0, min(excess, DROP_MAX) - 1)
    pipe = redis.pipeline(transaction=False)
    for name in oldest:
        pipe.unlink(name)
    pipe.zrem(keys.tombstones, *oldest)
    pipe.execute()
    return len(oldest)
