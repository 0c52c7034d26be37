"""Circuit breaker: after a timeout, skip Redis for one second. Each further attempt would block a thread just as long.

Each request of Flask's routes also has a time budget for Redis, for one that is slow but answers. The photo routes have
none: they wait for pictures.
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
REQUEST_SECONDS = 0.4  # one last read may take 0.3 s more
TIMED_OUT_SECONDS = 0.25  # a call that failed after this long has timed out, reading or connecting


class _Request(threading.local):
    """The time that the request of this thread has spent with Redis."""

    spent: float | None = None  # seconds; None outside of a request with a budget
    calls = 0  # connections that it holds: several while it talks to several nodes of a cluster
    since = 0.0  # by the clock, when it got the first of them


class Breaker:
    """Opens for the rest of a request that has spent its time with Redis. Each pool opens on its own for a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._request = _Request()

    @property
    def is_open(self) -> bool:
        return (self._request.spent or 0) > REQUEST_SECONDS

    def begin_request(self) -> None:
        """A request begins in this thread."""
        self._request.spent, self._request.calls = 0.0, 0

    def end_request(self, _error: BaseException | None = None) -> None:
        """The request of this thread has ended, or needs no budget any more."""
        self._request.spent = None

    def begin_call(self) -> int:
        """A call begins. Returns the number of calls of this thread that are already under way."""
        held = self._request.calls
        if held == 0:
            self._request.since = self.clock()
        self._request.calls = held + 1
        return held

    def end_call(self, held: int | None = None) -> float:
        """A call has ended. Returns its seconds. `held`: it got no connection, and `begin_call` returned this."""
        request, now = self._request, self.clock()
        seconds = now - request.since
        request.calls = max(0, request.calls - 1) if held is None else held
        if request.calls == 0 and request.spent is not None:
            request.spent += seconds
            request.since = now
        return seconds


class BreakablePool(BlockingConnectionPool):
    """A pool of connections to one server that refuses them while it is open."""

    def __init__(self, *args: Any, breaker: Breaker, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]  # untyped in redis-py
        self._breaker = breaker
        self._open_until = 0.0  # by the breaker's clock

    def open(self) -> None:
        """Skip this server for a second, after a timeout. Other errors cost no time."""
        self._open_until = self._breaker.clock() + OPEN_SECONDS

    def begin_anew(self) -> None:
        """Close the pool after the server came back: idle connections may lead to a server that is gone."""
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
        except (AttributeError, TypeError, ValueError) as error:  # another thread closed it when this one took it
            self._breaker.end_call(held)
            raise ConnectionError("the connection was closed meanwhile") from error

    def release(self, connection: Any) -> None:
        was_cut = not connection.is_connected  # redis-py disconnects after a failed call
        super().release(connection)  # type: ignore[no-untyped-call]  # as above
        if self._breaker.end_call() >= TIMED_OUT_SECONDS and was_cut:
            self.open()


def init_app(app: Flask, breaker: Breaker, redis: Redis) -> None:
    """Bound the time that each request of this app spends with Redis."""

    def begin() -> None:
        if isinstance(redis, Cluster):
            with suppress(RedisError):  # the request that needs Redis gets the error
                redis.connect()  # takes a quarter of a second, outside of the budget
        breaker.begin_request()

    app.before_request(begin)
    app.teardown_request(breaker.end_request)
