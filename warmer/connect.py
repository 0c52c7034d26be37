"""Clients of Redis, each with the patience its process can afford."""

from __future__ import annotations

from collections.abc import Callable

from redis import BlockingConnectionPool, Redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry

from warmer.settings import Settings


def connect_web(
    settings: Settings,
    connections: int,
    open_pool: Callable[..., BlockingConnectionPool] = BlockingConnectionPool.from_url,
) -> Redis:
    """For requests: connect within 0.25 s, read within 0.3 s, wait 0.1 s for a connection, no retry."""
    pool = open_pool(
        settings.redis_url,
        max_connections=connections,
        timeout=0.1,
        socket_connect_timeout=0.25,
        socket_timeout=0.3,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis.from_pool(pool)


def connect_worker(settings: Settings, connections: int = 64) -> Redis:
    """For workers and tools: 5 s and three retries, a short outage is waited out."""
    pool = BlockingConnectionPool.from_url(
        settings.redis_url,
        max_connections=connections,
        timeout=5,
        socket_connect_timeout=5,
        socket_timeout=5,
        retry=Retry(ExponentialBackoff(cap=1, base=0.1), 3),
    )
    return Redis.from_pool(pool)


def connect_listener(settings: Settings) -> Redis:
    """For pub/sub, which idles: a client of its own, no read time-out shorter than its silence."""
    return Redis.from_url(settings.redis_url, socket_connect_timeout=1, socket_timeout=5, retry=Retry(NoBackoff(), 0))
