"""A clock that a test moves."""

from __future__ import annotations


class Clock:
    """Stands still until it is moved. Threads may share it if they only read it."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now  # seconds
        self.slept: list[float] = []  # each sleep, in seconds

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let this much time pass."""
        self.now += seconds

    def sleep(self, seconds: float) -> None:
        """Advance at once, and record the length."""
        self.slept.append(seconds)
        self.now += seconds
