"""Telegram's budget in simulated time: the token bucket, the reserves and the pause of `warmer/state/budget.py`.

The reserves are imported. The bucket is a Lua script there, so it is restated here; a test compares the two. All
threads that wait for a token wake when there is one, and the fastest takes it: here a random one, so that each token
is one event however many wait.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import simpy

from warmer.keys import Lane
from warmer.state.budget import RESERVE

Verdict = Literal["granted", "postponed", "paused"]
Answer = tuple[Verdict, float]  # with the seconds to wait unless it is granted
Steps = Generator[simpy.Event, Any, Answer]
GRANTED: Answer = ("granted", 0.0)
TINY = 1e-9  # seconds or tokens, of rounding


@dataclass(frozen=True)
class _Waiter:
    answered: simpy.Event
    deadline: float


class Budget:
    """The token bucket of all workers."""

    def __init__(self, env: simpy.Environment, rate: float, rng: np.random.Generator) -> None:
        self.env = env
        self.rate = rate
        self.burst = max(1.0, rate)
        self.paused_until = 0.0
        self._tokens = self.burst
        self._at = 0.0
        self._waiting: list[_Waiter] = []
        self._rng = rng

    def take(self, lane: Lane, patience_seconds: float) -> Steps:
        """Take a token. *hot* waits for it within its patience; the others never wait, and none during a pause."""
        if (pause := self.get_pause()) > 0:
            return "paused", pause
        wait = self._try(1 if lane == "hot" and self._waiting else 0, RESERVE[lane] * self.burst)
        if wait <= 0:
            return GRANTED
        if lane != "hot" or wait > patience_seconds:
            return "postponed", wait
        waiter = _Waiter(self.env.event(), self.env.now + patience_seconds)
        self._waiting.append(waiter)
        if len(self._waiting) == 1:
            self.env.process(self._hand_out())
        answer: Answer = yield waiter.answered
        return answer

    def pause(self, seconds: float) -> None:
        """Stop all calls for this many seconds."""
        self.paused_until = max(self.paused_until, self.env.now + seconds)

    def get_pause(self) -> float:
        """The seconds that are left of the pause."""
        return max(0.0, self.paused_until - self.env.now)

    def _hand_out(self) -> Generator[simpy.Event, Any, None]:
        while self._waiting:
            yield self.env.timeout(self._try(self.burst, 0.0))
            if (pause := self.get_pause()) > 0:
                self._answer_all(("paused", pause))
            elif self._try(0, 0.0) <= 0:
                lucky = self._waiting.pop(int(self._rng.integers(len(self._waiting))))
                lucky.answered.succeed(GRANTED)
                self._postpone_impatient(self._try(self.burst, 0.0))

    def _postpone_impatient(self, wait: float) -> None:
        """Answer the threads that cannot wait for the next token."""
        patient = [one for one in self._waiting if one.deadline >= self.env.now + wait]
        for one in self._waiting:
            if one.deadline < self.env.now + wait:
                one.answered.succeed(("postponed", wait))
        self._waiting = patient

    def _answer_all(self, answer: Answer) -> None:
        for one in self._waiting:
            one.answered.succeed(answer)
        self._waiting = []

    def _try(self, behind: float, reserve: float) -> float:
        """Seconds until there is a token beyond the reserve; 0: it is taken. With threads `behind`, it only checks."""
        now = self.env.now
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        needed = min(self.burst, 1 + reserve)
        if self._tokens < needed - TINY:
            return (needed - self._tokens) / self.rate
        if not behind:
            self._tokens -= 1
        return 0.0 if not behind else TINY
