"""An outage: Telegram is unreachable for several subjects, with no answer in between, and for a good one, too.

No failure counts then. warmer/flow/cross_check.py asks for the good one.

Each kind of call has its own, and a halt is one, too. While an outage lasts, the budget lets one such call through at a
time, as a probe. When a probe is answered, all subjects that wait for it are due at once.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from redis import Redis
from redis.client import Pipeline

from warmer.keys import ASKING_SECONDS, OUTAGE_SECONDS, REFUSED, REFUSED_SECONDS, VERDICT_SECONDS, Keys
from warmer.state.schedule import Schedule

SUBJECTS_MIN = 3  # that failed with no answer in between, before a good one is asked for


class Outage:
    """The subjects that failed because Telegram was unreachable, by what they wait for: see `warmer.keys.OUTAGES`."""

    def __init__(self, redis: Redis, keys: Keys, schedule: Schedule) -> None:
        self.redis = redis
        self.keys = keys
        self.schedule = schedule
        self._answered: set[str] = set()  # calls, until the next round trip that clears their failures

    def note_answer(self, call: str) -> None:
        """Telegram has answered this call. The next `queue_clear` of this process tells the others."""
        self._answered.add(call)

    def note_failure(self, subject: str, kind: str) -> bool:
        """Note that this subject failed. Returns True if several did."""
        key, pipe = self.keys.outage(kind), self.redis.pipeline(transaction=False)
        self.queue_clear(pipe)
        pipe.sadd(key, subject)
        pipe.expire(key, REFUSED_SECONDS if kind == REFUSED else OUTAGE_SECONDS)
        pipe.scard(key)
        *_, number = pipe.execute()
        return int(number) >= SUBJECTS_MIN

    def list_failed(self, kind: str) -> set[str]:
        """The subjects that failed."""
        members: Any = self.redis.smembers(self.keys.outage(kind))
        return {member.decode() for member in members}

    def read_verdict(self, call: str) -> tuple[bool, str]:
        """Whether this job shall find out if the call is ill, and what is known: see the table of `warmer.keys`."""
        key, pipe = self.keys.verdict(call), self.redis.pipeline(transaction=False)
        pipe.set(key, "asking", nx=True, ex=ASKING_SECONDS)
        pipe.get(key)
        is_mine, verdict = pipe.execute()
        return bool(is_mine), (verdict or b"asking").decode()

    def note_verdict(self, call: str, verdict: str) -> None:
        """Tell every worker for a moment, so that each asks no more than the probes of an outage do."""
        self.redis.set(self.keys.verdict(call), verdict, ex=VERDICT_SECONDS)

    def drop_verdict(self, call: str) -> None:
        """The job found nothing out: the next one asks."""
        self.redis.delete(self.keys.verdict(call))

    def queue_clear(self, pipe: Pipeline) -> None:
        """In a pipeline: of each call that was answered, the failures up to now were those of their subjects."""
        answered, self._answered = self._answered, set()
        for call in answered:
            pipe.delete(self.keys.outage(call))

    def queue_take_refused(self, pipe: Pipeline) -> None:
        """In a pipeline, after a good getFile: take the subjects that Telegram called temporarily unavailable."""
        pipe.smembers(self.keys.outage(REFUSED))
        pipe.delete(self.keys.outage(REFUSED))

    def wake_refused(self, members: Collection[bytes]) -> None:
        """If Telegram said so of several, it was ill: they are due now. One or two ids are rather wrong."""
        if len(members) >= SUBJECTS_MIN:
            self._wake(members)

    def end(self, kind: str) -> None:
        """Telegram answers again: every subject that failed is due now."""
        key, pipe = self.keys.outage(kind), self.redis.pipeline(transaction=False)
        pipe.smembers(key)
        pipe.delete(key)
        self._wake(pipe.execute()[0])

    def _wake(self, members: Collection[bytes]) -> None:
        subjects = [member.decode() for member in members]
        pipe = self.redis.pipeline(transaction=False)
        for subject in subjects:
            pipe.delete(self.keys.backoff(subject), self.keys.retries(subject))
        pipe.execute()
        self.schedule.schedule_by(subjects, 0)
