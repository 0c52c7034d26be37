"""The schedule in simulated time: the next run of each picture, as in `warmer/state/schedule.py`.

There the rules are Lua scripts on a sorted set; here they are restated on a heap.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import simpy


class Schedule:
    """Pictures by the instant of their next run."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self._next_runs: dict[int, float] = {}
        self._heap: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._next_runs)

    def set(self, picture: int, seconds: float) -> bool:
        """Set the next run. Returns True if the picture had none."""
        is_new = picture not in self._next_runs
        self._put(picture, self.env.now + seconds)
        return is_new

    def schedule_by(self, pictures: Iterable[int], seconds: float) -> None:
        """Set the next run of each picture to at most this many seconds from now; an earlier one stays."""
        instant = self.env.now + seconds
        for picture in pictures:
            if self._next_runs.get(picture, instant + 1) > instant:
                self._put(picture, instant)

    def schedule_if_absent(self, picture: int, seconds: float) -> None:
        """Set the next run if the picture has none."""
        if picture not in self._next_runs:
            self._put(picture, self.env.now + seconds)

    def cancel(self, picture: int) -> None:
        """Remove the picture."""
        self._next_runs.pop(picture, None)

    def take(self, limit: int, postpone_seconds: float) -> list[int]:
        """At most `limit` pictures that are due; each becomes due again later unless its worker settles it."""
        taken: list[int] = []
        while self._heap and self._heap[0][0] <= self.env.now and len(taken) < limit:
            instant, picture = heapq.heappop(self._heap)
            if self._next_runs.get(picture) == instant:  # else it has a later next run
                taken.append(picture)
        for picture in taken:
            self._put(picture, self.env.now + postpone_seconds)
        return taken

    def _put(self, picture: int, instant: float) -> None:
        self._next_runs[picture] = instant
        heapq.heappush(self._heap, (instant, picture))
