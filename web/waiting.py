"""How a request waits for a picture that is being warmed: woken by "done", bounded in time and in number."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

from redis import Redis
from redis.exceptions import RedisError

from warmer.keys import Keys

THREADS = 64  # per web process; at most half of them wait, so that hits always find one
LOOK_SECONDS = 0.25  # between looks while nothing is announced: a message can be lost
T = TypeVar("T")
log = logging.getLogger(__name__)


class Shed(Exception):
    """No use in waiting: as many wait as may, or nobody is at it."""


class _Waiter:
    """One waiting request."""

    def __init__(self) -> None:
        self.news = threading.Event()
        self.is_postponed = False


class Waiting:
    """The waiting requests of one process, and the thread that hears "done" for them."""

    def __init__(
        self, connect: Callable[[], Redis], keys: Keys, wait_seconds: float, places: int = THREADS // 2
    ) -> None:
        self._connect = connect
        self._channel = keys.done
        self.wait_seconds = wait_seconds
        self._places = threading.BoundedSemaphore(places)
        self._waiters: dict[str, set[_Waiter]] = defaultdict(set)
        self._lock = threading.Lock()
        self._listener: threading.Thread | None = None

    def wait_for(self, subjects: set[str], look: Callable[[], T], ask: Callable[[], bool]) -> T:
        """What `look` finds within the wait, None if nothing came in time or it was postponed.

        Registers first, then looks, asks, and waits; asks again with every look, since the message may have met a
        worker that was just leaving. Raises Shed, at once, while as many wait as may, and when asking was in vain.
        """
        if not self._places.acquire(blocking=False):
            raise Shed
        self._ensure_listener()
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

    def wake(self, message: bytes) -> None:
        """Wake whoever waits for the subject of a "done" message."""
        subject, _, outcome = message.decode(errors="replace").partition(" ")
        with self._lock:
            for waiter in self._waiters.get(subject, ()):
                waiter.is_postponed = outcome == "postponed"
                waiter.news.set()

    def _wait(self, waiter: _Waiter, look: Callable[[], T], ask: Callable[[], bool]) -> T:
        end = time.monotonic() + self.wait_seconds
        while (found := look()) is None and not waiter.is_postponed:
            if not ask():
                raise Shed
            if (left := end - time.monotonic()) <= 0:
                break
            waiter.news.wait(min(LOOK_SECONDS, left))
            waiter.news.clear()
        return found

    def _ensure_listener(self) -> None:
        """Start the listener with the first wait: after the fork, whatever the server."""
        with self._lock:
            if self._listener is None:
                self._listener = threading.Thread(target=self._listen, name="done-listener", daemon=True)
                self._listener.start()

    def _listen(self) -> None:
        is_deaf = False
        while True:
            try:
                with self._connect() as redis, redis.pubsub(ignore_subscribe_messages=True) as channel:
                    channel.subscribe(self._channel)
                    is_deaf = False
                    while True:
                        if message := channel.get_message(timeout=1.0):
                            self.wake(message["data"])
            except RedisError as error:
                if not is_deaf:  # one line an outage
                    log.warning("not listening (%s), a try every %.2f s", type(error).__name__, LOOK_SECONDS)
                is_deaf = True
                threading.Event().wait(LOOK_SECONDS)
