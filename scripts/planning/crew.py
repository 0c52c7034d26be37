"""The workers in simulated time: four queues in strict order, threads, claims and ticks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import simpy

from planning.duties import Duties
from planning.ledger import Ledger
from planning.setup import Setup
from planning.stock import Stock
from planning.tokens import Tokens
from warmer.broker.publish import EAGER_MAX, LOST_SECONDS
from warmer.keys import QUEUES, Lane
from warmer.state.lease import LEASE_SECONDS
from warmer.worker.beat import WAITING_MAX
from warmer.worker.rounds import KEEP_SECONDS, POSTPONE_SECONDS, REWARM_MAX, SPREAD_SECONDS, TICK_SECONDS

ASKED_MORE_SECONDS = 3.0  # a message counts as on its way so much longer than PHOTO_WAIT (warmer/broker/publish.py)
Outcome = Literal["done", "postponed"]
Steps = Generator[simpy.Event, Any, None]


@dataclass(frozen=True)
class _Message:
    picture: int
    lane: Lane


class Crew:
    """Queues, and the threads that work them off."""

    def __init__(self, env: simpy.Environment, setup: Setup, stock: Stock, ledger: Ledger,
                 chance: np.random.Generator) -> None:  # fmt: skip
        self.env, self.setup, self.stock, self.ledger, self.chance = env, setup, stock, ledger, chance
        self.duties = Duties(env)
        self.tokens = Tokens(env, setup.telegram_rate, chance)
        self.announce: Callable[[int, Outcome], None] = lambda _picture, _outcome: None
        self._queues: dict[str, deque[_Message]] = {name: deque() for name in QUEUES}
        self._free = setup.worker_processes * setup.threads
        self._asked: dict[tuple[Lane, int], float] = {}  # until when
        self._leased: set[int] = set()
        env.process(self._beat())
        env.process(self._keep_newest())

    def ask(self, picture: int, lane: Lane) -> bool:
        """Publish unless a message is on its way in this lane; False where it is shed."""
        if lane == "hot" and picture in self._leased:
            return True
        if self._asked.get((lane, picture), 0.0) > self.env.now:
            return True
        if len(self._queues[lane]) >= (self.setup.hot_max if lane == "hot" else EAGER_MAX):
            return False
        self._asked[lane, picture] = self.env.now + self.setup.photo_wait + ASKED_MORE_SECONDS
        self._enqueue(_Message(picture, lane))
        return True

    def ask_all(self, pictures: Sequence[int]) -> None:
        """In the lane that nobody waits for; what cannot be published becomes due."""
        self.duties.schedule_by(pictures, LOST_SECONDS + EAGER_MAX / self.setup.telegram_rate)
        waiting = len(self._queues["warm"])
        published = [picture for picture in pictures if self.ask(picture, "warm")]
        self.duties.schedule_by(published, LOST_SECONDS + waiting / self.setup.telegram_rate)
        for picture in set(pictures) - set(published):
            self.duties.set(picture, 0)

    def _enqueue(self, message: _Message) -> None:
        self._queues[message.lane].append(message)
        self._dispatch()
        self.ledger.peak(message.lane, len(self._queues[message.lane]))

    def _dispatch(self) -> None:
        """Give free threads what waits, in the order of the queues."""
        while self._free and (name := next((name for name in QUEUES if self._queues[name]), None)):
            message = self._queues[name].popleft()
            if name == "tick":
                self._start(self._tick())
            elif message.lane == "hot" and self._asked.get(("hot", message.picture), 0.0) <= self.env.now:
                self.ledger.count("stale")
            elif message.picture in self._leased:
                self._asked.pop((message.lane, message.picture), None)
            else:
                self._leased.add(message.picture)
                self._start(self._warm(message))

    def _start(self, work: Steps) -> None:
        self._free -= 1
        self.env.process(self._hold_thread(work))

    def _hold_thread(self, work: Steps) -> Steps:
        yield from work
        self._free += 1
        self._dispatch()

    def _warm(self, message: _Message) -> Steps:
        picture, env = message.picture, self.env
        had_no_turn = self.duties.set(picture, LEASE_SECONDS + 1)
        verdict, wait = "granted", 0.0
        if not self.stock.is_stored(picture, env.now):
            verdict, wait = yield from self.tokens.take(message.lane, self.setup.photo_wait)
            if verdict == "granted":
                wait = yield from self._fetch()
                verdict = "paused" if wait else "granted"
        if verdict == "granted":
            if not self.stock.is_stored(picture, env.now) or message.lane == "rewarm":
                self.stock.put(picture, env.now)
            self._settle(message, "done")
            return
        if verdict == "postponed" and message.lane == "hot" and had_no_turn and not self._is_kept_warm(picture):
            self.duties.drop(picture)
        else:
            self.duties.set(picture, wait * self.chance.uniform(1, 1.1))
        self._settle(message, "postponed")

    def _fetch(self) -> Generator[simpy.Event, Any, float]:
        """The two calls and our own work; the seconds of the pause, where Telegram asks for one."""
        setup = self.setup
        for name, seconds in (("getFile", setup.call_seconds), ("download", setup.download_seconds)):
            if pause := self.tokens.get_pause():
                return pause
            self.ledger.count(name)
            yield self.env.timeout(seconds * self.chance.uniform(1 - setup.spread, 1 + setup.spread))
            if setup.pause_at <= self.env.now < setup.pause_at + setup.pause_seconds:
                self.tokens.pause(setup.pause_at + setup.pause_seconds - self.env.now)
                return self.tokens.get_pause()
        yield self.env.timeout(setup.task_seconds)
        return 0.0

    def _settle(self, message: _Message, outcome: Outcome) -> None:
        picture = message.picture
        self._leased.discard(picture)
        self._asked.pop((message.lane, picture), None)
        if outcome == "done":
            if self._is_kept_warm(picture):
                self.duties.set(picture, self.stock.ttl / 2)
            else:
                self.duties.drop(picture)
        if outcome == "done" or message.lane == "hot":
            self.announce(picture, outcome)

    def _is_kept_warm(self, picture: int) -> bool:
        return picture < self.setup.rewarm_partners

    def _beat(self) -> Steps:
        while True:
            if len(self._queues["tick"]) <= WAITING_MAX:
                self._queues["tick"].append(_Message(-1, "rewarm"))
                self._dispatch()
            yield self.env.timeout(TICK_SECONDS)

    def _tick(self) -> Steps:
        """Publish what is due, evenly over the round."""
        room = REWARM_MAX - len(self._queues["rewarm"])
        per_round = max(1, int(self.setup.telegram_rate * TICK_SECONDS * 0.9))
        pictures = self.duties.take(max(0, min(room, per_round)), POSTPONE_SECONDS)
        pause = 0.0 if len(pictures) <= self.tokens.burst / 3 else 0.8 * TICK_SECONDS / len(pictures)
        for picture in pictures:
            self.ask(picture, "rewarm")
            yield self.env.timeout(pause)
        self.ledger.peak("due", len(self.duties))

    def _keep_newest(self) -> Steps:
        kept = min(self.setup.rewarm_partners, self.setup.pictures)
        if not self.setup.is_cold:
            for picture in range(kept):
                self.duties.ensure(picture, self.chance.uniform(0, self.stock.ttl / 2))
        while True:
            for picture in range(kept):
                self.duties.ensure(picture, self.chance.uniform(0, SPREAD_SECONDS))
            yield self.env.timeout(KEEP_SECONDS)
