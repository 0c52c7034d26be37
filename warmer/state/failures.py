"""The last failures with their reasons, for who is asked why a picture is not there; and how many there were."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.client import Pipeline

from warmer.errors import GaveUp, NoPhoto, Permanent, WarmerError
from warmer.keys import Keys
from warmer.state.scripts import load_script
from warmer.state.stats import KEEP_SECONDS, MinuteStats

KEPT = 50  # subjects, each with its newest failure


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a subject failed; `cause` as it is remembered, or the class of a failure that passes."""

    subject: str
    cause: str
    reason: str
    at: int  # Unix time, in seconds


class Failures:
    """Where workers note what went wrong. Nothing but the subject says whose picture it is; forgetting removes it."""

    def __init__(self, redis: Redis, keys: Keys, stats: MinuteStats) -> None:
        self.redis = redis
        self.keys = keys
        self.stats = stats
        self._note = load_script(redis, "note_failure")

    def note(self, subject: str, error: WarmerError) -> None:
        """Note it *before* it is remembered under the claim: a forgetting after that removes it, one before that shows.

        A missing photo is counted by its cause, and no failure; giving up is the end of failures counted before.
        """
        cause = error.cause if isinstance(error, Permanent) else type(error).__name__
        if isinstance(error, Permanent):
            self.stats.count({f"unavailable:{cause}": 1})
        if isinstance(error, NoPhoto):
            return
        if not isinstance(error, GaveUp):
            self.stats.count({"failures": 1})
        reason = json.dumps({"cause": cause, "reason": str(error)})
        self._note(keys=[self.keys.failed, self.keys.reasons], args=[subject, reason, KEPT, KEEP_SECONDS])

    def drop(self, subject: str) -> None:
        """It was forgotten meanwhile."""
        pipe = self.redis.pipeline(transaction=False)
        drop_failures(pipe, self.keys, [subject])
        pipe.execute()


def drop_failures(pipe: Pipeline, keys: Keys, subjects: Sequence[str]) -> None:
    """Leave nothing of these subjects among the failures."""
    pipe.zrem(keys.failed, *subjects)
    pipe.hdel(keys.reasons, *subjects)


def list_failures(redis: Redis, keys: Keys) -> list[Failure]:
    """The last failures, the newest first, in one round trip."""
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
    """What another release may have written: fields that we do not know are left out."""
    return Failure(subject.decode(), cause=said.get("cause", ""), reason=said.get("reason", ""), at=int(at))
