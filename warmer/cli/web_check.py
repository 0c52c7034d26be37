"""Counts the web processes that are alive: they acknowledge purges, so `diagnose` asks them for an acknowledgement."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from redis import Redis

from warmer.cli.redis_checks import Check
from warmer.flow.forget import POP_SECONDS
from warmer.keys import Keys

QUESTION = "Does the web tier answer?"
ANSWER_SECONDS = 3.0  # a busy process acknowledges within milliseconds


def count_web_processes(redis: Redis, keys: Keys, clock: Callable[[], float] = time.monotonic) -> int:
    """Return the number of web processes that answer. Raises RedisError.

    A subscriber that is no web process never answers.
    """
    key, end, answered = keys.acknowledged(secrets.token_hex(8)), clock() + ANSWER_SECONDS, 0
    subscribers = redis.publish(keys.acknowledge, key)
    while answered < subscribers and clock() < end:
        answered += 1 if redis.blpop([key], POP_SECONDS) else 0
    return answered


def check_web(number: int | None) -> Check:
    """`number` of web processes. None if Redis could not be asked."""
    if number is None:
        return Check(QUESTION, "unknown", "only Redis knows the web processes")
    if not number:
        return Check(QUESTION, "wrong", "no web process does")
    return Check(QUESTION, "ok", f"{number} process{'' if number == 1 else 'es'}")
