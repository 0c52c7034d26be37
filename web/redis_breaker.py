"""After a time-out nobody asks Redis for a second: each asking would hold a thread as long again.

Nor does a request go on asking that has spent its time with a Redis that is slow, but answers. Waiting for a picture
is something else: the photo routes, which wait, have no such bound.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from flask import Flask
from redis import BlockingConnectionPool, Redis
from redis.exceptions import ConnectionError, RedisError, TimeoutError

from warmer.redis_client.cluster import Cluster

OPEN_SECONDS = 1.0
REQUEST_SECONDS = 0.4  # and one last read may take 0.3 s
TIMED_OUT_SECONDS = 0.25  # a call that failed after so long has met a time-out: of reading, or of connecting


class _Request(threading.local):
    """What the request of this thread has spent with Redis; None where nobody counts."""

    spent: float | None = None  # seconds
    calls = 0  # connections that it holds: several while it asks several nodes of a cluster
    since = 0.0  # by the clock; when it got the first of them


class Breaker:
    """Open for the rest of a request that spent too much time with Redis; each pool opens for a second by itself."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._request = _Request()

    @property
    def is_open(self) -> bool:
        return (self._request.spent or 0) > REQUEST_SECONDS

    def begin_request(self) -> None:
        """What this thread does now is for one request."""
        self._request.spent, self._request.calls = 0.0, 0

    def end_request(self, _error: BaseException | None = None) -> None:
        """It is done."""
        self._request.spent = None

    def begin_call(self) -> int:
        """Redis is asked; how many answers of it this thread waits for already."""
        held = self._request.calls
        if held == 0:
            self._request.since = self.clock()
        self._request.calls = held + 1
        return held

    def end_call(self, held: int | None = None) -> float:
        """It has answered, after so many seconds; `held`: it has not, and this is what `begin_call` said."""
        request, now = self._request, self.clock()
        seconds = now - request.since
        request.calls = max(0, request.calls - 1) if held is None else held
        if request.calls == 0 and request.spent is not None:
            request.spent += seconds
            request.since = now
        return seconds


class BreakablePool(BlockingConnectionPool):
    """Connections to one server while its breaker is closed: whatever needs no Redis is answered as ever."""

    def __init__(self, *args: Any, breaker: Breaker, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]  # untyped in redis-py
        self._breaker = breaker
        self._open_until = 0.0  # by the breaker's clock

    def open(self) -> None:
        """A time-out: nobody asks this server for a second. Other errors cost no time."""
        self._open_until = self._breaker.clock() + OPEN_SECONDS

    def begin_anew(self) -> None:
        """The server is there, and may be another one: a connection at rest may lead to one that says nothing more."""
        self.disconnect(inuse_connections=False)
        self._open_until = 0.0

    def get_connection(self, *args: Any, **options: Any) -> Any:
        if self._breaker.clock() < self._open_until or self._breaker.is_open:
            raise ConnectionError("Redis is too slow")
        held = self._breaker.begin_call()
        try:
            return super().get_connection(*args, **options)  # type: ignore[no-untyped-call]  # as above
        except (ConnectionError, TimeoutError) as error:
            self._breaker.end_call(held)
            if isinstance(error, TimeoutError):
                self.open()
            raise

    def release(self, connection: Any) -> None:
        was_cut = not connection.is_connected  # redis-py's way to end a call that failed
        super().release(connection)  # type: ignore[no-untyped-call]  # as above
        if self._breaker.end_call() >= TIMED_OUT_SECONDS and was_cut:
            self.open()


def init_app(app: Flask, breaker: Breaker, redis: Redis) -> None:
    """Bound the time that each request of this app spends with Redis."""

    def begin() -> None:
        if isinstance(redis, Cluster):
            with suppress(RedisError):  # who needs it will be told
                redis.connect()  # takes a quarter of a second: the first request is not to be refused for it
        breaker.begin_request()

    app.before_request(begin)
    app.teardown_request(breaker.end_request)
