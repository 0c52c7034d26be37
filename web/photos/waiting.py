"""How a request waits for a picture that is being warmed: woken by "done", bounded in time and in number."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

LOOK_SECONDS = 0.25  # between looks while nothing is announced: a message can be lost
T = TypeVar("T")


class Overloaded(Exception):
    """No use in waiting: as many wait as may, or nobody is at it."""


class _Waiter:
    """One waiting request."""

    def __init__(self) -> None:
        self.news = threading.Event()
        self.is_postponed = False


class Waiting:
    """The waiting requests of one process."""

    def __init__(
        self,
        wait_seconds: float,
        places: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        """`pause`: waits until the event is set, at most so many seconds by the clock."""
        self.wait_seconds = wait_seconds
        self._clock, self._pause = clock, pause
        self._places = threading.BoundedSemaphore(places)
        self._waiters: dict[str, set[_Waiter]] = defaultdict(set)
        self._lock = threading.Lock()

    def wait_for(self, subjects: set[str], look: Callable[[], T], ask: Callable[[], bool]) -> T:
        """What `look` finds within the wait, None if nothing came in time or it was postponed.

        Registers first, then looks, asks, and waits; asks again with every look, since the message may have met a
        worker that was just leaving. Raises Shed, at once, while as many wait as may, and when asking was in vain.
        """
        if not self._places.acquire(blocking=False):
            raise Overloaded
        waiter = _Waiter()
        with self._lock:
            for subject in subjects:
                self._waiters[subject].add(waiter)
        try:
            return self._wait(waiter, look, ask)
        finally:
            self._places.release()
            with self._lock:
                for subject in subjects:
                    self._waiters[subject].discard(waiter)
                    if not self._waiters[subject]:
                        del self._waiters[subject]

    def wake(self, message: str) -> None:
        """Wake whoever waits for the subject of a "done" message."""
        subject, _, outcome = message.partition(" ")
        with self._lock:
            for waiter in self._waiters.get(subject, ()):
                waiter.is_postponed = outcome == "postponed"
                waiter.news.set()

    def _wait(self, waiter: _Waiter, look: Callable[[], T], ask: Callable[[], bool]) -> T:
        end = self._clock() + self.wait_seconds
        while (found := look()) is None and not waiter.is_postponed:
            if not ask():
                raise Overloaded
            if (left := end - self._clock()) <= 0:
                break
            self._pause(waiter.news, min(LOOK_SECONDS, left))
            waiter.news.clear()
        return found
