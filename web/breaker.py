"""After a time-out nobody asks Redis for a second: each asking would hold a thread as long again."""

from __future__ import annotations

import time
from typing import Any

from redis import BlockingConnectionPool
from redis.exceptions import ConnectionError, RedisError, TimeoutError

OPEN_SECONDS = 1.0


class Breaker:
    """Open for a second after each time-out."""

    def __init__(self) -> None:
        self._open_until = 0.0  # monotonic

    @property
    def is_open(self) -> bool:
        return time.monotonic() < self._open_until

    def note(self, error: RedisError) -> None:
        """Open after a time-out; other errors cost no time."""
        if isinstance(error, TimeoutError):
            self._open_until = time.monotonic() + OPEN_SECONDS


class BreakablePool(BlockingConnectionPool):
    """Connections while the breaker is closed: whatever needs no Redis is answered as ever."""

    def __init__(self, *args: Any, breaker: Breaker, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]  # untyped in redis-py
        self._breaker = breaker

    def get_connection(self, *args: Any, **options: Any) -> Any:
        if self._breaker.is_open:
            raise ConnectionError("Redis timed out a moment ago")
        return super().get_connection(*args, **options)  # type: ignore[no-untyped-call]  # as above
