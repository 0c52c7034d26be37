"""Counts the calls, and keeps a log of the newest ones. Thread-safe."""

import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager

from faketelegram.botapi import Call

Entry = tuple[float, str, dict[str, str]]
LOG_MAX = 100_000  # calls; a demo may run for months


class Traffic:
    def __init__(self) -> None:
        self.connections = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self._calls: Counter[str] = Counter()
        self._log: deque[Entry] = deque(maxlen=LOG_MAX)
        self._lock = threading.Lock()

    def count_connection(self) -> None:
        with self._lock:
            self.connections += 1

    @contextmanager
    def counting(self, call: Call) -> Iterator[None]:
        """Count a call, which is in flight during the block."""
        with self._lock:
            self._calls[call.method] += 1
            self._log.append((time.monotonic(), call.method, dict(call.params)))
            self.in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            yield
        finally:
            with self._lock:
                self.in_flight -= 1

    def reset(self) -> None:
        """Set everything to zero; ongoing calls stay in flight."""
        with self._lock:
            self._calls.clear()
            self._log.clear()
            self.connections = 0
            self.max_in_flight = self.in_flight

    @property
    def calls(self) -> Counter[str]:
        with self._lock:
            return Counter(self._calls)

    @property
    def log(self) -> list[Entry]:
        with self._lock:
            return list(self._log)
