"""The web tier in simulated time: hits as a stream, misses one by one."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import simpy

from planning.crew import Crew, Outcome, Steps
from planning.ledger import Ledger, Refusal
from planning.popularity import Popularity, Ranks
from planning.setup import Setup
from planning.stock import Stock
from web.photos.cache import MAX_AGE_SECONDS

STEP = 0.05  # seconds between looks at the stream
Answered = Callable[[bool], None]  # told whether it got the picture


@dataclass(eq=False)
class _Waiter:
    picture: int
    since: float
    answered: Answered | None
    is_over: bool = False


class WebContext:
    """Every web process together."""

    def __init__(self, env: simpy.Environment, setup: Setup, stock: Stock, crew: Crew, ledger: Ledger,
                 popularity: Popularity, chance: np.random.Generator) -> None:  # fmt: skip
        self.env, self.setup, self.stock, self.crew, self.ledger = env, setup, stock, crew, ledger
        self._popularity, self._chance = popularity, chance
        self._waiters: dict[int, set[_Waiter]] = defaultdict(set)
        self._line: deque[_Waiter] = deque()  # in the order of their ends
        self._places = setup.web_processes * setup.places
        self._backlog = 0.0  # CPU seconds of requests that have arrived and are not answered
        crew.announce = self.wake
        if setup.requests:
            env.process(self._stream())
        env.process(self._expire())

    def miss(self, picture: int, answered: Answered | None = None) -> None:
        """A request for a picture that is not stored: it waits, or is refused."""
        self.ledger.count("misses")
        waiter = _Waiter(picture, self.env.now, answered)
        if not self._places:
            self.crew.ask(picture, "hot")  # for the client's next try
            self._refuse(waiter, "places")
        elif not self.crew.ask(picture, "hot"):
            self._refuse(waiter, "queue")
        else:
            self._places -= 1
            self._waiters[picture].add(waiter)
            self._line.append(waiter)
            self.ledger.peak("waiting", self.setup.web_processes * self.setup.places - self._places)

    def wake(self, picture: int, outcome: Outcome) -> None:
        """Whoever waits for the picture has it, or stops waiting."""
        for waiter in self._waiters.pop(picture, ()):
            self._places += 1
            waiter.is_over = True
            if outcome == "done":
                self.ledger.wait(self.env.now - waiter.since + self._backlog / self.setup.web_processes)
                if waiter.answered:
                    waiter.answered(True)
            else:
                self._refuse(waiter, "postponed")

    def _refuse(self, waiter: _Waiter, why: Refusal) -> None:
        self.ledger.count(why)
        if waiter.answered:
            waiter.answered(False)

    def _expire(self) -> Steps:
        while True:
            yield self.env.timeout(STEP)
            while self._line and (self._line[0].is_over or self._line[0].since + self.setup.photo_wait <= self.env.now):
                waiter = self._line.popleft()
                if not waiter.is_over:
                    self._places += 1
                    self._waiters[waiter.picture].discard(waiter)
                    self._refuse(waiter, "late")

    def _stream(self) -> Steps:
        while True:
            pictures = self._admit(self._popularity.draw(self._chance, self._chance.poisson(self._rate() * STEP)))
            if self.setup.loss_at >= 0:
                pictures = self._reach(pictures)
            is_stored = self.stock.are_stored(pictures, self.env.now)
            hits = int(is_stored.sum())
            self.ledger.count("hits", hits)
            self._backlog += (hits * self.setup.hit_us + (len(pictures) - hits) * self.setup.miss_us) * 1e-6
            for picture in pictures[~is_stored].tolist():
                self.miss(picture)
            self._list_first()
            yield self.env.timeout(STEP)

    def _rate(self) -> float:
        setup = self.setup
        is_surge = setup.surge_from <= self.env.now < setup.surge_until
        return setup.requests * (setup.surge if is_surge else 1.0)

    def _admit(self, pictures: Ranks) -> Ranks:
        """What the processes have connections for; what is more is turned away."""
        setup = self.setup
        self._backlog = max(0.0, self._backlog - setup.web_processes * STEP)
        self.ledger.peak("web_delay", self._backlog / setup.web_processes)
        room = setup.connections * setup.web_processes - int(self._backlog / (setup.hit_us * 1e-6))
        self.ledger.count("web", max(0, len(pictures) - max(0, room)))
        return pictures[: max(0, room)]

    def _reach(self, pictures: Ranks) -> Ranks:
        """Those that are not of the shard that is away, or are on the shelf of the process that is asked."""
        setup = self.setup
        if not setup.loss_at <= self.env.now < setup.loss_at + setup.loss_seconds:
            return pictures
        rates = self._popularity.rates_of(pictures, self._rate() / setup.web_processes)
        is_shelved = self._chance.random(len(pictures)) < 1 - np.exp(-rates * MAX_AGE_SECONDS)
        is_away = (pictures % setup.shards == 0) & ~is_shelved
        self.ledger.count("shard", int(is_away.sum()))
        reached: Ranks = pictures[~is_away]
        return reached

    def _list_first(self) -> None:
        """Lists are on screens all the time: their first pictures are warmed."""
        cold = [picture for picture in range(self.setup.warm_first) if not self.stock.is_stored(picture, self.env.now)]
        if cold:
            self.crew.ask_all(cold)
