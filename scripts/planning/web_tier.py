"""The web tier in simulated time: hits in numbers, misses one by one."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import simpy

from planning.photos import PhotoStore
from planning.popularity import Popularity, Ranks
from planning.setup import Setup
from planning.timeline import Refusal, Timeline
from planning.workers import Outcome, Steps, Workers
from web.photos.cache import MAX_AGE_SECONDS

STEP = 0.05  # seconds between two batches of requests
Answered = Callable[[bool], None]  # gets True if the request got its picture


@dataclass(eq=False)
class _Waiter:
    picture: int
    since: float
    answered: Answered | None
    is_over: bool = False


class WebTier:
    """All web processes together."""

    def __init__(self, env: simpy.Environment, setup: Setup, photos: PhotoStore, workers: Workers, timeline: Timeline,
                 popularity: Popularity, rng: np.random.Generator) -> None:  # fmt: skip
        self.env, self.setup, self.photos, self.workers, self.timeline = env, setup, photos, workers, timeline
        self._popularity, self._rng = popularity, rng
        self._waiters: dict[int, set[_Waiter]] = defaultdict(set)
        self._by_deadline: deque[_Waiter] = deque()  # in the order of their deadlines
        self._places = setup.web_processes * setup.places
        self._backlog = 0.0  # CPU seconds of the requests in progress
        workers.announce = self.wake
        if setup.requests:
            env.process(self._stream())
        env.process(self._expire())

    def miss(self, picture: int, answered: Answered | None = None) -> None:
        """Handle a request for a picture that is not stored: let it wait, or refuse it."""
        self.timeline.count("misses")
        waiter = _Waiter(picture, self.env.now, answered)
        if not self._places:
            self.workers.ask(picture, "hot")  # for the client's retry
            self._refuse(waiter, "places")
        elif not self.workers.ask(picture, "hot"):
            self._refuse(waiter, "queue")
        else:
            self._places -= 1
            self._waiters[picture].add(waiter)
            self._by_deadline.append(waiter)
            self.timeline.peak("waiting", self.setup.web_processes * self.setup.places - self._places)

    def wake(self, picture: int, outcome: Outcome) -> None:
        """Answer all requests that wait for the picture."""
        for waiter in self._waiters.pop(picture, ()):
            self._places += 1
            waiter.is_over = True
            if outcome == "done":
                self.timeline.wait(self.env.now - waiter.since + self._backlog / self.setup.web_processes)
                if waiter.answered:
                    waiter.answered(True)
            else:
                self._refuse(waiter, "postponed")

    def _refuse(self, waiter: _Waiter, why: Refusal) -> None:
        self.timeline.count(why)
        if waiter.answered:
            waiter.answered(False)

    def _expire(self) -> Steps:
        while True:
            yield self.env.timeout(STEP)
            while self._by_deadline and (
                self._by_deadline[0].is_over or self._by_deadline[0].since + self.setup.photo_wait <= self.env.now
            ):
                waiter = self._by_deadline.popleft()
                if not waiter.is_over:
                    self._places += 1
                    self._waiters[waiter.picture].discard(waiter)
                    self._refuse(waiter, "late")

    def _stream(self) -> Steps:
        while True:
            pictures = self._admit(self._popularity.draw(self._rng, self._rng.poisson(self._rate() * STEP)))
            if self.setup.loss_at >= 0:
                pictures = self._reach(pictures)
            is_stored = self.photos.are_stored(pictures, self.env.now)
            hits = int(is_stored.sum())
            self.timeline.count("hits", hits)
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
        """Requests within the processes' connections; the others are turned away."""
        setup = self.setup
        self._backlog = max(0.0, self._backlog - setup.web_processes * STEP)
        self.timeline.peak("web_delay", self._backlog / setup.web_processes)
        room = setup.connections * setup.web_processes - int(self._backlog / (setup.hit_us * 1e-6))
        self.timeline.count("web", max(0, len(pictures) - max(0, room)))
        return pictures[: max(0, room)]

    def _reach(self, pictures: Ranks) -> Ranks:
        """Requests that the missing shard does not stop: of other shards, or in a process' response cache."""
        setup = self.setup
        if not setup.loss_at <= self.env.now < setup.loss_at + setup.loss_seconds:
            return pictures
        rates = self._popularity.rates_of(pictures, self._rate() / setup.web_processes)
        is_cached = self._rng.random(len(pictures)) < 1 - np.exp(-rates * MAX_AGE_SECONDS)
        is_away = (pictures % setup.shards == 0) & ~is_cached
        self.timeline.count("shard", int(is_away.sum()))
        reached: Ranks = pictures[~is_away]
        return reached

    def _list_first(self) -> None:
        """Clients list partners all the time: warm the first pictures of the list."""
        cold = [picture for picture in range(self.setup.warm_first) if not self.photos.is_stored(picture, self.env.now)]
        if cold:
            self.workers.ask_all(cold)
