"""How often a caller may write, counted in Redis for all processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import ceil

from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter  # its window is a TTL in Redis: no clock of ours
from redis import Redis

from warmer.keys import Keys
from web.photos.urls import PhotoUrls
from web.problems import Problem

PER_MINUTE = {"user": 10, "server": 30_000}  # by role


class ClientStorage(RedisStorage):
    """limits' storage on a client of ours: its pool, its time-outs, its breaker, and a cluster, too."""

    def __init__(self, redis: Redis, key_prefix: str) -> None:
        super(RedisStorage, self).__init__()  # not RedisStorage's own, which makes a client
        self.target_server = "redis"
        self.dependency = self.dependencies["redis"].module
        self.key_prefix = key_prefix
        self.storage = redis
        self.initialize_storage("redis://")


class RateLimiter:
    """The writes of each caller within the minute, by method."""

    def __init__(self, redis: Redis, keys: Keys, urls: PhotoUrls, wall_clock: Callable[[], float] = time.time) -> None:
        self._urls, self._wall_clock = urls, wall_clock
        self._limiter = FixedWindowRateLimiter(ClientStorage(redis, keys.limits))
        self._limits = {role: RateLimitItemPerMinute(number, namespace=role) for role, number in PER_MINUTE.items()}

    def count(self, role: str, caller_id: int, method: str) -> None:
        """One write more of this caller; raises Problem: 429 when that is one too many."""
        limit = self._limits[role]
        # Hashed with a key of ours: of a user who is forgotten nothing remains that could be read.
        who = self._urls.sign(f"writer:{caller_id}")
        if not self._limiter.hit(limit, method, who):
            seconds = ceil(self._limiter.get_window_stats(limit, method, who).reset_time - self._wall_clock())
            headers = {"Retry-After": str(max(1, seconds))}
            raise Problem(429, f"at most {limit.amount} of these a minute", headers=headers)
