"""Keeps the last failures with their reasons, which say why a picture is missing, and counts them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.client import Pipeline

from warmer.errors import GaveUp, NoPhoto, Permanent, WarmerError
from warmer.keys import STATS_SECONDS, Keys
from warmer.state.scripts import load_script
from warmer.state.stats import MinuteStats

MAX_KEPT = 50  # subjects, each with its newest failure


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a subject failed. `cause`: that of the negative cache, or the class of a transient error."""

    subject: str
    cause: str
    reason: str
    at: int  # Unix time, in seconds


class Failures:
    """Records failures. Forgetting a subject removes its record."""

    def __init__(self, redis: Redis, keys: Keys, stats: MinuteStats) -> None:
        self.redis = redis
        self.keys = keys
        self.stats = stats
        self._note = load_script(redis, "lua/note_failure.lua")

    def note(self, subject: str, error: WarmerError) -> None:
        """Count the failure and record its reason.

        Call this *before* the write that checks the lease: if the subject is forgotten before that write, the write
        fails and the caller calls `drop`; if later, forgetting removes the record. A missing photo is no failure, and
        giving up counts no further one; both count under their cause.
        """
        cause = error.cause if isinstance(error, Permanent) else type(error).__name__
        if isinstance(error, Permanent):
            self.stats.count({f"unavailable:{cause}": 1})
        if isinstance(error, NoPhoto):
            return
        if not isinstance(error, GaveUp):
            self.stats.count({"failures": 1})
        reason = json.dumps({"cause": cause, "reason": str(error)})
        self._note(keys=[self.keys.failed, self.keys.reasons], args=[subject, reason, MAX_KEPT, STATS_SECONDS])

    def drop(self, subject: str) -> None:
        """Remove the record: the subject was forgotten meanwhile."""
        pipe = self.redis.pipeline(transaction=False)
        drop_failures(pipe, self.keys, [subject])
        pipe.execute()


def drop_failures(pipe: Pipeline, keys: Keys, subjects: Sequence[str]) -> None:
    """Add to a pipeline: remove the records of these subjects, those of dead events included."""
    pipe.zrem(keys.failed, *subjects)
    pipe.hdel(keys.reasons, *subjects)
    pipe.zrem(keys.dead, *subjects)
    pipe.hdel(keys.dead_reasons, *subjects)


def list_failures(redis: Redis, keys: Keys) -> list[Failure]:
    """Returns the last failures, newest first, in one round trip."""
    pipe = redis.pipeline(transaction=False)
    pipe.zrevrange(keys.failed, 0, -1, withscores=True)
    pipe.hgetall(keys.reasons)
    subjects: list[tuple[bytes, float]]
    reasons: dict[bytes, Any]
    subjects, reasons = pipe.execute()
    return [
        _read(subject, at, json.loads(reasons[subject]))
        for subject, at in subjects
        if subject in reasons  # either key may be evicted
    ]


def _read(subject: bytes, at: float, said: dict[str, str]) -> Failure:
    """Read a record. Fields of a newer release are ignored."""
    return Failure(subject.decode(), cause=said.get("cause", ""), reason=said.get("reason", ""), at=int(at))
