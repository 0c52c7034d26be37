"""The time between two attempts, which tests do not wait for."""

from __future__ import annotations

from redis import Redis


def end_backoffs(redis: Redis) -> None:
    """As if the backoff of every subject were over."""
    for name in list(redis.scan_iter("*:backoff")):
        redis.delete(name)


def end_negatives(redis: Redis) -> None:
    """As if every negative cache entry had expired; each still counts for the length of the next one."""
    for name in list(redis.scan_iter("*:unavailable")):
        redis.delete(name)
