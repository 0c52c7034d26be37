"""The workers in simulated time: four queues in strict order, threads, leases and ticks.

Rules that are plain values and functions come from `warmer`: order and limits of the queues, the length of the lease,
when a message counts as lost, size and pace of a tick, the spread of postponed work. Restated here are the steps that
`warmer` takes in Redis and Celery: one message per picture and lane (`broker/publish`), leases, stale messages and the
next run after an outcome (`flow/attempt`), and the schedule of the newest partners' pictures (`worker/beat_rounds`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import simpy

from planning.budget import Budget
from planning.photos import PhotoStore
from planning.schedule import Schedule
from planning.setup import Setup
from planning.timeline import Timeline
from warmer.broker.publish import EAGER_MAX, count_lost_after, get_max_waiting
from warmer.flow.retry import POSTPONE_SPREAD
from warmer.keys import ENQUEUED_EXTRA_SECONDS, LEASE_SECONDS, QUEUES, Lane
from warmer.worker.beat_rounds import (
    KEEP_NEWEST_SECONDS,
    REWARM_MAX,
    SPREAD_SECONDS,
    TICK_SECONDS,
    count_per_tick,
    get_pause_within_tick,
)
from warmer.worker.beat_scheduler import WAITING_MAX

Outcome = Literal["done", "postponed"]
Steps = Generator[simpy.Event, Any, None]


@dataclass(frozen=True)
class _Message:
    picture: int
    lane: Lane


class Workers:
    """The queues, and the threads that take messages from them."""

    def __init__(self, env: simpy.Environment, setup: Setup, photos: PhotoStore, timeline: Timeline,
                 rng: np.random.Generator) -> None:  # fmt: skip
        self.env, self.setup, self.photos, self.timeline, self.rng = env, setup, photos, timeline, rng
        self.schedule = Schedule(env)
        self.budget = Budget(env, setup.telegram_rate)
        self.announce: Callable[[int, Outcome], None] = lambda _picture, _outcome: None
        self._queues: dict[str, deque[_Message]] = {name: deque() for name in QUEUES}
        self._free = setup.worker_processes * setup.threads
        self._enqueued: dict[tuple[Lane, int], float] = {}  # the instant when the marker expires
        self._leased: set[int] = set()
        env.process(self._beat())
        env.process(self._keep_newest())

    def ask(self, picture: int, lane: Lane) -> bool:
        """Publish unless a message is already queued in this lane. Returns False if the queue is full."""
        if lane == "hot" and picture in self._leased:
            return True
        if self._enqueued.get((lane, picture), 0.0) > self.env.now:
            return True
        if len(self._queues[lane]) >= get_max_waiting(lane, self.setup.hot_max):
            return False
        self._enqueued[lane, picture] = self.env.now + self.setup.photo_wait + ENQUEUED_EXTRA_SECONDS
        self._enqueue(_Message(picture, lane))
        return True

    def ask_all(self, pictures: Sequence[int]) -> None:
        """Warm many pictures ahead of time; those that do not fit into the queue become due."""
        self.schedule.schedule_by(pictures, count_lost_after(EAGER_MAX, self.setup.telegram_rate))
        waiting = len(self._queues["warm"])
        published = [picture for picture in pictures if self.ask(picture, "warm")]
        self.schedule.schedule_by(published, count_lost_after(waiting, self.setup.telegram_rate))
        for picture in set(pictures) - set(published):
            self.schedule.set(picture, 0)

    def _enqueue(self, message: _Message) -> None:
        self._queues[message.lane].append(message)
        self._dispatch()
        self.timeline.peak(message.lane, len(self._queues[message.lane]))

    def _dispatch(self) -> None:
        """Give messages to free threads, in the order of the queues."""
        while self._free and (name := next((name for name in QUEUES if self._queues[name]), None)):
            message = self._queues[name].popleft()
            if name == "tick":
                self._start(self._tick())
            elif message.lane == "hot" and self._enqueued.get(("hot", message.picture), 0.0) <= self.env.now:
                self.timeline.count("stale")
            elif message.picture in self._leased:
                self._enqueued.pop((message.lane, message.picture), None)
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
        was_unscheduled = self.schedule.set(picture, LEASE_SECONDS + 1)
        verdict, wait = "granted", 0.0
        if not self.photos.is_stored(picture, env.now):
            verdict, wait = yield from self.budget.take(message.lane, self.setup.photo_wait)
            if verdict == "granted":
                wait = yield from self._fetch()
                verdict = "paused" if wait else "granted"
        if verdict == "granted":
            if not self.photos.is_stored(picture, env.now) or message.lane == "rewarm":
                self.photos.put(picture, env.now)
            self._finish(message, "done")
            return
        if verdict == "postponed" and message.lane == "hot" and was_unscheduled and not self._is_kept_warm(picture):
            self.schedule.cancel(picture)
        else:
            self.schedule.set(picture, wait * self.rng.uniform(*POSTPONE_SPREAD))
        self._finish(message, "postponed")

    def _fetch(self) -> Generator[simpy.Event, Any, float]:
        """The two calls and our own work. Returns the seconds of a pause if Telegram asks for one, else 0."""
        setup = self.setup
        for name, seconds in (("getFile", setup.call_seconds), ("download", setup.download_seconds)):
            if pause := self.budget.get_pause():
                return pause
            self.timeline.count(name)
            yield self.env.timeout(seconds * self.rng.uniform(1 - setup.spread, 1 + setup.spread))
            if setup.pause_at <= self.env.now < setup.pause_at + setup.pause_seconds:
                self.budget.pause(setup.pause_at + setup.pause_seconds - self.env.now)
                return self.budget.get_pause()
        yield self.env.timeout(setup.task_seconds)
        return 0.0

    def _finish(self, message: _Message, outcome: Outcome) -> None:
        picture = message.picture
        self._leased.discard(picture)
        self._enqueued.pop((message.lane, picture), None)
        if outcome == "done":
            if self._is_kept_warm(picture):
                self.schedule.set(picture, self.photos.ttl / 2)
            else:
                self.schedule.cancel(picture)
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
        """Publish the due pictures, evenly over the round."""
        room = REWARM_MAX - len(self._queues["rewarm"])
        limit = min(room, count_per_tick(self.setup.telegram_rate))
        pictures = self.schedule.take(max(0, limit), LEASE_SECONDS)
        pause = get_pause_within_tick(len(pictures), self.budget.burst)
        for picture in pictures:
            self.ask(picture, "rewarm")
            yield self.env.timeout(pause)
        self.timeline.peak("due", len(self.schedule))

    def _keep_newest(self) -> Steps:
        kept = min(self.setup.rewarm_partners, self.setup.pictures)
        if not self.setup.is_cold:
            for picture in range(kept):
                self.schedule.schedule_if_absent(picture, self.rng.uniform(0, self.photos.ttl / 2))
        while True:
            for picture in range(kept):
                self.schedule.schedule_if_absent(picture, self.rng.uniform(0, SPREAD_SECONDS))
            yield self.env.timeout(KEEP_NEWEST_SECONDS)
