"""Keeps the next run of each subject: a sorted set of subjects by instant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import Redis
from redis.client import Pipeline

from warmer.keys import SLOT_SHARE, Keys
from warmer.state.scripts import load_script, queue


class Schedule:
    """The next run of each subject. It survives workers, queues and restarts."""

    def __init__(self, redis: Redis, keys: Keys, key: str = "") -> None:
        """`key`: names the sorted set. Without it, the set is that of the subjects."""
        self.redis = redis
        self.keys = keys
        self._key = key or keys.schedule
        self._schedule = load_script(redis, "lua/schedule.lua")
        self._cancel_if = load_script(redis, "lua/cancel_if.lua")
        self._take = load_script(redis, "lua/take_due.lua")

    def set(self, subject: str, seconds: float) -> str | None:
        """Replace the next run. Returns its instant for `cancel_if`. Returns None if there was another one before."""
        return self.read_set(self._schedule(keys=[self._key], args=[seconds, "", subject]))

    def queue_set(self, pipe: Pipeline, subject: str, seconds: float) -> None:
        """Add `set` to a pipeline. `read_set` reads the answer."""
        queue(pipe, self._schedule, keys=[self._key], args=[seconds, "", subject])

    @staticmethod
    def read_set(answer: Any) -> str | None:
        """Read the answer to `queue_set`. Returns what `set` does."""
        is_new, next_run = answer
        return next_run.decode() if is_new else None

    def queue_by(self, pipe: Pipeline, subjects: Sequence[str], seconds: float) -> None:
        """Add `schedule_by` to a pipeline."""
        queue(pipe, self._schedule, keys=[self._key], args=[seconds, "LT", *subjects])

    def cancel_if(self, subject: str, next_run: str) -> None:
        """Cancel the next run if it is still this one."""
        self._cancel_if(keys=[self._key], args=[subject, next_run])

    def queue_take_back(self, pipe: Pipeline, subject: str, next_run: str | None, seconds: float) -> None:
        """Add to a pipeline: cancel the run that `set` returned if it is still this one.

        If `set` returned None, it moved an earlier run, which comes within these seconds instead.
        """
        if next_run is None:
            self.queue_by(pipe, [subject], seconds)
        else:
            queue(pipe, self._cancel_if, keys=[self._key], args=[subject, next_run])

    def set_all(self, subjects: Sequence[str], seconds: float) -> None:
        """Set the next run of many."""
        if subjects:
            self._schedule(keys=[self._key], args=[seconds, "", *subjects])

    def schedule_by(self, subjects: Sequence[str], seconds: float) -> None:
        """Make the next run happen within these seconds; an earlier one stays."""
        if subjects:
            self._schedule(keys=[self._key], args=[seconds, "LT", *subjects])

    def schedule_if_absent(self, subjects: Sequence[str], seconds: float) -> None:
        """Set the next run of the subjects that have none."""
        if subjects:
            self._schedule(keys=[self._key], args=[seconds, "NX", *subjects])

    def advance(self, subjects: Sequence[str], beyond_seconds: float) -> None:
        """Make those subjects due now whose next run is further away than that, or that have none.

        Earlier runs are retries, and stay.
        """
        if not subjects:
            return
        limit = self._now() + beyond_seconds
        scores: Any = self.redis.zmscore(self._key, list(subjects))
        self.schedule_by([name for name, at in zip(subjects, scores, strict=True) if at is None or at > limit], 0)

    def cancel(self, *subjects: str) -> None:
        """Cancel the next run of these."""
        if subjects:
            self.redis.zrem(self._key, *subjects)

    def take(self, limit: int, postpone_seconds: float) -> list[str]:
        """Returns at most `limit` subjects that are due. Each runs again after `postpone_seconds`, unless set anew."""
        return [subject.decode() for subject in self._take(keys=[self._key], args=[limit, postpone_seconds])]

    def count(self) -> int:
        """Return how many subjects have a next run."""
        return int(self.redis.zcard(self._key))

    def count_within(self, *seconds: float) -> list[int]:
        """Return for each of these periods how many runs are due within it, late ones included."""
        now = self._now()
        pipe = self.redis.pipeline(transaction=False)
        for period in seconds:
            pipe.zcount(self._key, "-inf", now + period)
        return [int(number) for number in pipe.execute()]

    def get_lateness(self) -> float:
        """Return the seconds by which the earliest run is late. Returns 0 if none is."""
        first: Any = self.redis.zrange(self._key, 0, 0, withscores=True)
        return max(0.0, self._now() - first[0][1]) if first else 0.0

    def _now(self) -> float:
        seconds, micros = self.redis.time()
        return seconds + micros / 1e6

    def take_slot(self, task: str, period_seconds: float) -> bool:
        """Take this round of a periodic task. Returns False if another process has it: a second beat does no harm."""
        return bool(self.redis.set(self.keys.slot(task), "1", nx=True, px=int(period_seconds * SLOT_SHARE * 1000)))


def cancel_runs(pipe: Pipeline, keys: Keys, subjects: Sequence[str]) -> None:
    """Add to a pipeline: cancel the next run of these subjects."""
    pipe.zrem(keys.schedule, *subjects)
