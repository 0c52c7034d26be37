"""The calls so far: counters and a log. Thread-safe."""

import threading
import time
from collections import Counter

from faketelegram.botapi import Call

Entry = tuple[float, str, dict[str, str]]


class OngoingCall:
    """A call from its arrival until its answer leaves."""

    def __init__(self, traffic: "Traffic") -> None:
        self._traffic = traffic
        self._is_over = False

    def finish(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._traffic.call_finished()


class Traffic:
    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()
        self._log: list[Entry] = []
        self._connections = 0
        self._in_flight = 0
        self._max_in_flight = 0
        self._lock = threading.Lock()

    def count_connection(self) -> None:
        with self._lock:
            self._connections += 1

    def start(self, call: Call) -> OngoingCall:
        with self._lock:
            self._calls[call.method] += 1
            self._log.append((time.monotonic(), call.method, dict(call.params)))
            self._in_flight += 1
            self._max_in_flight = max(self._max_in_flight, self._in_flight)
        return OngoingCall(self)

    def call_finished(self) -> None:
        with self._lock:
            self._in_flight -= 1

    def reset(self) -> None:
        """Set everything to zero; ongoing calls stay in flight."""
        with self._lock:
            self._calls.clear()
            self._log.clear()
            self._connections = 0
            self._max_in_flight = self._in_flight

    @property
    def calls(self) -> Counter[str]:
        with self._lock:
            return Counter(self._calls)

    @property
    def log(self) -> list[Entry]:
        with self._lock:
            return list(self._log)

    @property
    def connections(self) -> int:
        return self._connections

    @property
    def in_flight(self) -> int:
        return self._in_flight

    @property
    def max_in_flight(self) -> int:
        return self._max_in_flight
