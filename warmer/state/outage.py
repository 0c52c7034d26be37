"""Finds outages: Telegram is unreachable for several subjects, with no answer in between, and for a good one, too.

During an outage no failure counts. warmer/flow/cross_check.py asks for the good one.

Each kind of call has an outage of its own, and so has a halt. While an outage lasts, the budget lets one such call
through at a time, as a probe. When a probe is answered, all subjects that wait for it are due at once.
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
    """Keeps the subjects that failed because Telegram was unreachable, for each kind of `warmer.keys.OUTAGES`."""

    def __init__(self, redis: Redis, keys: Keys, schedule: Schedule) -> None:
        self.redis = redis
        self.keys = keys
        self.schedule = schedule
        self._answered: set[str] = set()  # calls, until the next round trip that clears their failures

    def note_answer(self, call: str) -> None:
        """Note that Telegram has answered this call. The next `queue_clear` of this process tells the others."""
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
        """Return the subjects that failed."""
        members: Any = self.redis.smembers(self.keys.outage(kind))
        return {member.decode() for member in members}

    def read_verdict(self, call: str) -> tuple[bool, str]:
        """Return True if this job has to find out whether the call is ill, and the result that is known so far.

        True claims the check: no other job gets it for ASKING_SECONDS. The results: `verdict:<call>` in `warmer.keys`.
        """
        key, pipe = self.keys.verdict(call), self.redis.pipeline(transaction=False)
        pipe.set(key, "asking", nx=True, ex=ASKING_SECONDS)
        pipe.get(key)
        is_mine, verdict = pipe.execute()
        return bool(is_mine), (verdict or b"asking").decode()

    def note_verdict(self, call: str, verdict: str) -> None:
        """Share the result with every worker for a moment: together they call no more often than the probes do."""
        self.redis.set(self.keys.verdict(call), verdict, ex=VERDICT_SECONDS)

    def drop_verdict(self, call: str) -> None:
        """Give the check up without a result: the next job makes it."""
        self.redis.delete(self.keys.verdict(call))

    def queue_clear(self, pipe: Pipeline) -> None:
        """Add to a pipeline: forget the failures of each call that Telegram has answered since. They are no outage."""
        answered, self._answered = self._answered, set()
        for call in answered:
            pipe.delete(self.keys.outage(call))

    def queue_take_refused(self, pipe: Pipeline) -> None:
        """Add to a pipeline, after a good getFile: take the subjects that Telegram called temporarily unavailable."""
        pipe.smembers(self.keys.outage(REFUSED))
        pipe.delete(self.keys.outage(REFUSED))

    def wake_refused(self, members: Collection[bytes]) -> None:
        """Make these subjects due now if there are several: Telegram was ill. One or two are probably wrong ids."""
        if len(members) >= SUBJECTS_MIN:
            self._wake(members)

    def end(self, kind: str) -> None:
        """Make every subject due that failed: Telegram answers again."""
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
