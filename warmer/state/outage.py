"""An outage: Telegram is unreachable for several subjects, with no answer in between. No failure counts then.

While it lasts, the budget lets one call through at a time, as a probe. When a probe is answered, all subjects that
failed meanwhile are due at once.
"""

from __future__ import annotations

from typing import Any

from redis import Redis
from redis.client import Pipeline

from warmer.keys import OUTAGE_SECONDS, Keys
from warmer.state.schedule import Schedule

SUBJECTS_MIN = 3  # that failed within the next time, before it is an outage


class Outage:
    """The subjects that failed because Telegram was unreachable."""

    def __init__(self, redis: Redis, keys: Keys, schedule: Schedule) -> None:
        self.redis = redis
        self.keys = keys
        self.schedule = schedule

    def note_failure(self, subject: str) -> bool:
        """Note that Telegram was unreachable for this subject. Returns True if that makes an outage."""
        pipe: Any = self.redis.pipeline(transaction=False)
        pipe.sadd(self.keys.outage, subject)
        pipe.expire(self.keys.outage, OUTAGE_SECONDS)
        pipe.scard(self.keys.outage)
        *_, number = pipe.execute()
        return int(number) >= SUBJECTS_MIN

    def queue_clear(self, pipe: Pipeline) -> None:
        """In a pipeline: Telegram has answered, so the failures up to now were those of their subjects."""
        pipe.delete(self.keys.outage)

    def end(self) -> None:
        """Telegram answers again: every subject that failed is due now."""
        pipe: Any = self.redis.pipeline(transaction=False)
        pipe.smembers(self.keys.outage)
        pipe.delete(self.keys.outage)
        members, _ = pipe.execute()
        self.schedule.schedule_by([member.decode() for member in members], 0)
