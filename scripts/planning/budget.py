"""Telegram's budget in simulated time: the token bucket, the lanes and the pause of `warmer/state/budget.py`.

What the lanes may do is imported. The bucket is a Lua script there, so it is restated here; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Literal

import simpy

from warmer.deadline import choose_patience
from warmer.keys import Lane
from warmer.state.budget import BURST_SECONDS, RESERVE

Verdict = Literal["granted", "postponed", "paused"]
Answer = tuple[Verdict, float]  # with the seconds to wait unless it is granted
Steps = Generator[simpy.Event, Any, Answer]
GRANTED: Answer = ("granted", 0.0)
TINY = 1e-9  # seconds, of rounding


class Budget:
    """The token bucket of all workers."""

    def __init__(self, env: simpy.Environment, rate: float) -> None:
        self.env = env
        self.rate = rate
        self.burst = max(1.0, rate * BURST_SECONDS)
        self.paused_until = 0.0
        self._tokens = self.burst  # less than nothing while some wait: they have taken theirs
        self._at = 0.0

    def take(self, lane: Lane, client_seconds: float) -> Steps:
        """Take a token, and wait for it within the patience of the lane, but never during a pause."""
        if (pause := self.get_pause()) > 0:
            return "paused", pause
        now = self.env.now
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        needed = min(self.burst, 1 + RESERVE[lane] * self.burst)
        wait = max(0.0, (needed - self._tokens) / self.rate)
        if wait > choose_patience(lane, client_seconds) + TINY:
            return "postponed", wait
        self._tokens -= 1
        if wait > TINY:
            yield self.env.timeout(wait)
            if (pause := self.get_pause()) > 0:
                return "paused", pause
        return GRANTED

    def pause(self, seconds: float) -> None:
        """Stop all calls for this many seconds."""
        self.paused_until = max(self.paused_until, self.env.now + seconds)

    def get_pause(self) -> float:
        """The seconds that are left of the pause."""
        return max(0.0, self.paused_until - self.env.now)
