"""Write limits per caller, counted in Redis for all processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import ceil

from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter  # its window is a TTL in Redis, not our clock
from redis import Redis

from warmer.keys import Keys
from web.photos.urls import PhotoUrls
from web.problems import Problem

PER_MINUTE = {"user": 10, "server": 30_000}  # by role


class ClientStorage(RedisStorage):
    """The storage of `limits` on our own client, with its pool, timeouts and breaker, and for a cluster."""

    def __init__(self, redis: Redis, key_prefix: str) -> None:
        super(RedisStorage, self).__init__()  # RedisStorage's own would make a client
        self.target_server = "redis"
        self.dependency = self.dependencies["redis"].module
        self.key_prefix = key_prefix
        self.storage = redis
        self.initialize_storage("redis://")


class RateLimiter:
    """Counts the writes of each caller within a minute, by method."""

    def __init__(self, redis: Redis, keys: Keys, urls: PhotoUrls, wall_clock: Callable[[], float] = time.time) -> None:
        self._urls, self._wall_clock = urls, wall_clock
        self._limiter = FixedWindowRateLimiter(ClientStorage(redis, keys.limits))
        self._limits = {role: RateLimitItemPerMinute(number, namespace=role) for role, number in PER_MINUTE.items()}

    def count(self, role: str, caller_id: int, method: str) -> None:
        """Count a write of this caller. Raises Problem: 429 over the limit."""
        limit = self._limits[role]
        # Hashed with our key, so that no readable trace of a forgotten user remains.
        caller = self._urls.sign(f"writer:{caller_id}")
        if not self._limiter.hit(limit, method, caller):
            seconds = ceil(self._limiter.get_window_stats(limit, method, caller).reset_time - self._wall_clock())
            headers = {"Retry-After": str(max(1, seconds))}
            raise Problem(429, f"at most {limit.amount} of these a minute", headers=headers)
