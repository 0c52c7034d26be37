"""What is due, in simulated time: the sorted set of `warmer/state/schedule.py`."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

import simpy


class Duties:
    """Turns of pictures, by the instant of the next one."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self._turns: dict[int, float] = {}
        self._heap: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._turns)

    def set(self, picture: int, seconds: float) -> bool:
        """Give it its next turn, instead of any other; whether it had none."""
        is_new = picture not in self._turns
        self._put(picture, self.env.now + seconds)
        return is_new

    def schedule_by(self, pictures: Iterable[int], seconds: float) -> None:
        """A turn in at most so many seconds; an earlier one stays."""
        instant = self.env.now + seconds
        for picture in pictures:
            if self._turns.get(picture, instant + 1) > instant:
                self._put(picture, instant)

    def ensure(self, picture: int, seconds: float) -> None:
        """A turn, if it has none."""
        if picture not in self._turns:
            self._put(picture, self.env.now + seconds)

    def drop(self, picture: int) -> None:
        """Nothing is to be done for it again."""
        self._turns.pop(picture, None)

    def take(self, limit: int, postpone_seconds: float) -> list[int]:
        """At most so many whose turn has come; each comes again, unless it is settled."""
        taken: list[int] = []
        while self._heap and self._heap[0][0] <= self.env.now and len(taken) < limit:
            instant, picture = heapq.heappop(self._heap)
            if self._turns.get(picture) == instant:  # or it was given another turn meanwhile
                taken.append(picture)
        for picture in taken:
            self._put(picture, self.env.now + postpone_seconds)
        return taken

    def _put(self, picture: int, instant: float) -> None:
        self._turns[picture] = instant
        heapq.heappush(self._heap, (instant, picture))
