"""Single flight: clients that want the same answer share one look at Redis, and wait without a thread.

join ─→ a thread looks ── found, or known to be unavailable ─→ all clients are answered
           ↑    └ nothing: the workers are told (web/photos/look.py)
           └──── again on "done", four times a second, and when a client's time is over: 503

The server's loop owns all of this: it alone calls these methods, so there are no locks. Only looks run in threads, and
what they find comes back through the loop. Servers without such a loop wait in threads (web/photos/waiting.py).
"""

from __future__ import annotations

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable
from functools import partial
from itertools import islice

from web.photos.app import PhotoLayer
from web.photos.look import Client, Look
from web.photos.lookup import PhotoLookup
from web.photos.request import PhotoRequest, RawRequest
from web.photos.response import Reply
from web.photos.waiting import LOOK_SECONDS

LEAST_SECONDS = LOOK_SECONDS / 5  # between two looks at the ends of clients' times: a client waits this much longer
BATCH = 50  # answers that the loop sends in one go: about 1 ms
BATCH_PAUSE_SECONDS = 0.0005  # between them, for hits
Key = tuple[PhotoRequest, str | None]  # with If-None-Match


class Flight:
    """The clients that want one answer."""

    def __init__(self, key: Key, lookup: PhotoLookup) -> None:
        self.key = key
        self.lookup = lookup
        self.clients: deque[Client] = deque()  # in the order of their coming, and so of their deadlines
        self.subjects: set[str] = set()  # whose "done" it heeds
        self.is_looking = False
        self.is_stirred = False  # "done" came during a look
        self.is_postponed = False  # by the worker, since the last look
        self.has_missed = False  # a look found nothing
        self.next_look = math.inf  # by the context's clock; infinite during a look


class Flights:
    """All flights of a process."""

    def __init__(
        self,
        layer: PhotoLayer,
        *,
        run: Callable[[Callable[[], None]], object],
        defer: Callable[..., object],
        render: Callable[[Reply], bytes],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`run` gives work to a thread, `defer` to the loop, in order. `render` and `pause` run in threads."""
        self._layer = layer
        self._run, self._defer, self._render, self._pause = run, defer, render, pause
        self._flights: dict[Key, Flight] = {}
        self._by_subject: dict[str, set[Flight]] = defaultdict(set)
        self._next_tick = math.inf  # the earliest next look
        self.count = 0  # clients

    def join(self, raw: RawRequest, send: Callable[[bytes], None]) -> bool:
        """A client waits from now on. Returns False if its request is refused: the ordinary way says why.

        The first of a flight starts a look; "done" is heeded before that. Raises nothing: it would end the process.
        """
        try:
            exchange = self._layer.open(raw)
            photo_request = exchange.read()
        except Exception:  # noqa: BLE001 - the ordinary way meets it, too
            return False
        key = photo_request, raw.if_none_match
        flight = self._flights.get(key)
        is_first = flight is None
        if flight is None:
            lookup = PhotoLookup(self._layer.app, self._layer.context, photo_request, raw.if_none_match)
            flight = self._flights[key] = Flight(key, lookup)
            self._heed(flight)
        deadline = exchange.started + self._layer.context.waiting.wait_seconds
        flight.clients.append(Client(send, exchange, deadline))
        self.count += 1
        if is_first:
            self._start_look(flight)
        return True

    def wake(self, message: str) -> None:
        """Look again for the subject of a "done" message."""
        subject, _, outcome = message.partition(" ")
        for flight in list(self._by_subject.get(subject, ())):
            flight.is_postponed = outcome == "postponed"
            if flight.is_looking:
                flight.is_stirred = True
            else:
                self._start_look(flight)

    @property
    def seconds_to_tick(self) -> float:
        """After which `tick` is due; negative if it is late."""
        return self._next_tick - self._layer.context.clock()

    def tick(self) -> None:
        """Start the looks that are due."""
        now = self._layer.context.clock()
        if now < self._next_tick:
            return
        for flight in list(self._flights.values()):
            if flight.next_look <= now:
                self._start_look(flight)
        self._next_tick = min((flight.next_look for flight in self._flights.values()), default=math.inf)

    def _start_look(self, flight: Flight) -> None:
        look = Look(
            self._layer.context,
            flight.lookup,
            list(flight.clients),
            self._render,
            had_missed=flight.has_missed,
            is_postponed=flight.is_postponed,
        )
        flight.is_looking, flight.is_stirred, flight.is_postponed, flight.next_look = True, False, False, math.inf
        self._run(partial(self._look, flight, look))

    def _look(self, flight: Flight, look: Look) -> None:
        """Look, in a thread, and hand the answers to the loop: few at a time, so that hits get between them."""
        answers = look.answers()
        try:
            while batch := list(islice(answers, BATCH)):
                self._defer(self._send, flight, batch)
                if len(batch) == BATCH:
                    self._pause(BATCH_PAUSE_SECONDS)
        finally:
            self._defer(self._end_look, flight, look)

    def _send(self, flight: Flight, batch: list[bytes]) -> None:
        """Answer as many of the first clients."""
        for answer in batch:
            self.count -= 1
            flight.clients.popleft().send(answer)

    def _end_look(self, flight: Flight, look: Look) -> None:
        """Some clients may be left: they wait on, or came during the look."""
        flight.is_looking = False
        flight.has_missed = flight.has_missed or look.has_missed
        if not flight.clients:
            self._end(flight)
        elif self._heed(flight) or flight.is_stirred or look.is_over:
            self._start_look(flight)
        else:
            now, first = self._layer.context.clock(), flight.clients[0].deadline
            flight.next_look = min(now + LOOK_SECONDS, max(first, now + LEAST_SECONDS))
            self._next_tick = min(self._next_tick, flight.next_look)

    def _heed(self, flight: Flight) -> bool:
        """Heed "done" for all subjects that the lookup knows. Returns True if one of them is new."""
        new = flight.lookup.subjects - flight.subjects
        flight.subjects |= new
        for subject in new:
            self._by_subject[subject].add(flight)
        return bool(new)

    def _end(self, flight: Flight) -> None:
        del self._flights[flight.key]
        for subject in flight.subjects:
            self._by_subject[subject].discard(flight)
            if not self._by_subject[subject]:
                del self._by_subject[subject]
