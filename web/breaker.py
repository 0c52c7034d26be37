"""After a time-out nobody asks Redis for a second: each asking would hold a thread as long again.

Nor does a request go on asking that has spent its time with a Redis that is slow, but answers. Waiting for a picture
is something else: the photo routes, which wait, have no such bound.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from flask import Flask
from redis import BlockingConnectionPool
from redis.exceptions import ConnectionError, RedisError, TimeoutError

OPEN_SECONDS = 1.0
REQUEST_SECONDS = 0.4  # and one last read may take 0.3 s


class _Request(threading.local):
    """What the request of this thread has spent with Redis; None where nobody counts."""

    spent: float | None = None  # seconds
    since = 0.0  # monotonic; when it got the connection that it holds


class Breaker:
    """Open for a second after each time-out, and for the rest of a request that spent too much time."""

    def __init__(self) -> None:
        self._open_until = 0.0  # monotonic
        self._request = _Request()

    @property
    def is_open(self) -> bool:
        return time.monotonic() < self._open_until or (self._request.spent or 0) > REQUEST_SECONDS

    def note(self, error: RedisError) -> None:
        """Open after a time-out; other errors cost no time."""
        if isinstance(error, TimeoutError):
            self._open_until = time.monotonic() + OPEN_SECONDS

    def begin_request(self) -> None:
        """What this thread does now is for one request."""
        self._request.spent = 0.0

    def end_request(self, _error: BaseException | None = None) -> None:
        """It is done."""
        self._request.spent = None

    def begin_call(self) -> None:
        """Redis is asked."""
        self._request.since = time.monotonic()

    def end_call(self) -> None:
        """It has answered, or not."""
        if self._request.spent is not None:
            self._request.spent += time.monotonic() - self._request.since


class BreakablePool(BlockingConnectionPool):
    """Connections while the breaker is closed: whatever needs no Redis is answered as ever."""

    def __init__(self, *args: Any, breaker: Breaker, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]  # untyped in redis-py
        self._breaker = breaker

    def get_connection(self, *args: Any, **options: Any) -> Any:
        if self._breaker.is_open:
            raise ConnectionError("Redis is too slow")
        self._breaker.begin_call()
        return super().get_connection(*args, **options)  # type: ignore[no-untyped-call]  # as above

    def release(self, connection: Any) -> None:
        super().release(connection)  # type: ignore[no-untyped-call]  # as above
        self._breaker.end_call()


def init_app(app: Flask, breaker: Breaker) -> None:
    """Bound the time that each request of this app spends with Redis."""
    app.before_request(breaker.begin_request)
    app.teardown_request(breaker.end_request)
