"""How long a task may take, all in all."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from warmer.errors import DeadlineExceeded
from warmer.keys import Lane

TASK_SECONDS = 20.0  # shorter than the lease of a claim


class Deadline:
    """An instant on this process's monotonic clock."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - self._clock())

    def require(self) -> float:
        """The seconds left; raises DeadlineExceeded when there are none."""
        if (left := self.remaining) <= 0:
            raise DeadlineExceeded("the total time of the task is over")
        return left


@dataclass(frozen=True, slots=True)
class JobContext:
    """One run of a task: its lane, its total deadline, and how long it may wait for tokens."""

    lane: Lane
    deadline: Deadline
    patience: Deadline

    @classmethod
    def start(
        cls,
        lane: Lane,
        patience_seconds: float,
        seconds: float = TASK_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> JobContext:
        """An errand that begins now; only *hot* may wait for tokens, a client waits with it."""
        return cls(lane, Deadline(seconds, clock), Deadline(patience_seconds if lane == "hot" else 0, clock))
