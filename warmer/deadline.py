"""How long a job may take in all."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from warmer.errors import DeadlineExceeded
from warmer.keys import Lane

TASK_SECONDS = 20.0  # shorter than a lease
WARM_PATIENCE_SECONDS = 1.0


class Deadline:
    """An instant on this process's monotonic clock."""

    def __init__(
        self, seconds: float, clock: Callable[[], float] = time.monotonic, within: Deadline | None = None
    ) -> None:
        """`within`: another one, which may move; this one ends with it at the latest."""
        self._clock = clock
        self._end = clock() + seconds
        self._within = within

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        left = max(0.0, self._end - self._clock())
        return min(left, self._within.remaining) if self._within else left

    def require(self) -> float:
        """Return the seconds left. Raises DeadlineExceeded if there are none."""
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
        """A job that begins now. `patience_seconds`: how long a client waits."""
        return cls(lane, Deadline(seconds, clock), Deadline(choose_patience(lane, patience_seconds), clock))


def choose_patience(lane: Lane, client_seconds: float) -> float:
    """The seconds that a lane may wait for tokens.

    *hot* leaves a quarter of its client's wait to the download: a token at its end would come too late. *warm* waits
    less than *hot*, so that behind it there is always room for *hot*.
    """
    return {"hot": client_seconds * 0.75, "warm": min(WARM_PATIENCE_SECONDS, client_seconds / 2), "rewarm": 0.0}[lane]
