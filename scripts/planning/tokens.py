"""Telegram's budget in simulated time: the bucket, the reserves and the pause of `warmer/state/budget.py`.

Threads that wait for a token all wake when there is one, and one of them is quicker: here, one drawn at random. That
is one event for each token, however many wait.
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
Answer = tuple[Verdict, float]  # the seconds to wait, where it is not granted
Steps = Generator[simpy.Event, Any, Answer]
GRANTED: Answer = ("granted", 0.0)
TINY = 1e-9  # seconds or tokens, of rounding


@dataclass(frozen=True)
class _Waiter:
    news: simpy.Event
    patient_until: float


class Tokens:
    """May I call Telegram now?"""

    def __init__(self, env: simpy.Environment, rate: float, chance: np.random.Generator) -> None:
        self.env = env
        self.rate = rate
        self.burst = max(1.0, rate)
        self.paused_until = 0.0
        self._tokens = self.burst
        self._at = 0.0
        self._waiting: list[_Waiter] = []
        self._chance = chance

    def take(self, lane: Lane, patience_seconds: float) -> Steps:
        """One token; *hot* waits for it within its patience, the others never do, and nobody during a pause."""
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
        answer: Answer = yield waiter.news
        return answer

    def pause(self, seconds: float) -> None:
        """Nobody calls for so long."""
        self.paused_until = max(self.paused_until, self.env.now + seconds)

    def get_pause(self) -> float:
        """Seconds left of it."""
        return max(0.0, self.paused_until - self.env.now)

    def _hand_out(self) -> Generator[simpy.Event, Any, None]:
        while self._waiting:
            yield self.env.timeout(self._try(self.burst, 0.0))
            if (pause := self.get_pause()) > 0:
                self._answer_all(("paused", pause))
            elif self._try(0, 0.0) <= 0:
                lucky = self._waiting.pop(int(self._chance.integers(len(self._waiting))))
                lucky.news.succeed(GRANTED)
                self._send_away(self._try(self.burst, 0.0))

    def _send_away(self, wait: float) -> None:
        """Whoever cannot wait for the next one ends now."""
        patient = [one for one in self._waiting if one.patient_until >= self.env.now + wait]
        for one in self._waiting:
            if one.patient_until < self.env.now + wait:
                one.news.succeed(("postponed", wait))
        self._waiting = patient

    def _answer_all(self, answer: Answer) -> None:
        for one in self._waiting:
            one.news.succeed(answer)
        self._waiting = []

    def _try(self, behind: float, reserve: float) -> float:
        """Seconds until there is a token beyond the reserve; 0: taken. With anybody `behind`, only a look."""
        now = self.env.now
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        needed = min(self.burst, 1 + reserve)
        if self._tokens < needed - TINY:
            return (needed - self._tokens) / self.rate
        if not behind:
            self._tokens -= 1
        return 0.0 if not behind else TINY
