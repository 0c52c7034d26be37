"""Requests wait here for a picture that a worker fetches: each in its thread, until "done", bounded in time and number.

A server whose loop can hold them needs no threads (web/photos/flights.py). It hears of "done" through this module, too.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

LOOK_SECONDS = 0.25  # between looks while no message comes: one can be lost
T = TypeVar("T")


class Overloaded(Exception):
    """Waiting is pointless: no place is free, or no worker will process the picture soon.

    The client gets 503 by `not_ready` in web/photos/exchange.py, as it does when its time is over.
    """


class _Waiter:
    """One waiting request."""

    def __init__(self) -> None:
        self.news = threading.Event()
        self.subjects: set[str] = set()  # whose "done" it hears
        self.postponed: set[str] = set()  # of these, by their workers


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
        """`places`: how many requests may wait at once. `pause` waits for the event, at most that many seconds."""
        self.wait_seconds = wait_seconds
        self._clock, self._pause = clock, pause
        self._places = threading.BoundedSemaphore(places)
        self._waiters: dict[str, set[_Waiter]] = defaultdict(set)
        self._lock = threading.Lock()
        self._others: list[Callable[[str], None]] = []  # that hear every message

    def wait_for(self, subjects: set[str], look: Callable[[], T], request: Callable[[], str | None]) -> T:
        """Returns what `look` finds within the wait, or None if nothing came in time or the picture was postponed.

        `request` returns the subject that a worker will process soon. Only if that one is postponed does the wait end:
        an id may show another picture by now. Registers first, then looks, requests and waits. Requests again with
        every look, since a worker that was about to end may have taken the message. Raises Overloaded at once if
        `request` returns None, or after one request if no place is free.
        """
        if not self._places.acquire(blocking=False):
            request()  # so that the client's next try finds it
            raise Overloaded
        waiter = _Waiter()
        self._hear(waiter, subjects)
        try:
            return self._wait(waiter, look, request)
        finally:
            self._places.release()
            with self._lock:
                for subject in waiter.subjects:
                    self._waiters[subject].discard(waiter)
                    if not self._waiters[subject]:
                        del self._waiters[subject]

    def pass_on(self, hear: Callable[[str], None]) -> None:
        """Call `hear` with every "done" message, in the listener's thread. It must return at once."""
        self._others.append(hear)

    def wake(self, message: str) -> None:
        """Wake the requests that wait for the subject of a "done" message."""
        for hear in self._others:
            hear(message)
        subject, _, outcome = message.partition(" ")
        with self._lock:
            for waiter in self._waiters.get(subject, ()):
                (waiter.postponed.add if outcome == "postponed" else waiter.postponed.discard)(subject)
                waiter.news.set()

    def _hear(self, waiter: _Waiter, subjects: set[str]) -> None:
        with self._lock:
            waiter.subjects |= subjects
            for subject in subjects:
                self._waiters[subject].add(waiter)

    def _wait(self, waiter: _Waiter, look: Callable[[], T], request: Callable[[], str | None]) -> T:
        end, awaited = self._clock() + self.wait_seconds, None
        # web/photos/lookup.py, `PhotoLookup.read` and `PhotoLookup.request_warming`
        while (found := look()) is None and awaited not in waiter.postponed:
            if (awaited := request()) is None:
                raise Overloaded
            if awaited not in waiter.subjects:  # the id shows another picture now
                self._hear(waiter, {awaited})
            if (left := end - self._clock()) <= 0:
                break
            self._pause(waiter.news, min(LOOK_SECONDS, left))
            waiter.news.clear()
        return found
