"""Single flight: clients that want the same picture share one look at Redis, and wait without a thread.

join ─→ a thread looks ── found, or known to be unavailable ─→ all clients are answered, a batch at a time
           ↑    └ nothing: the workers are told (web/photos/shared_lookup.py)
           ├──── again on "done", and when a client's time is over: 503
           └──── four times a second, if a check of all flights says that it could do anything (web/photos/recheck.py)

The server's loop owns all of this: it alone calls these methods, so there are no locks. Only looks and checks run in
threads, a few at once, and what they find comes back through the loop. During a check a flight counts as looking: what
it hears meanwhile starts a look afterwards. Servers without such a loop wait in threads, and repeat whole looks
(web/photos/waiting.py).
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable
from functools import partial

from web.photos.app import PhotoLayer
from web.photos.lookup import PhotoLookup
from web.photos.recheck import find_news
from web.photos.request import PhotoRequest, RawRequest
from web.photos.response import Reply
from web.photos.shared_lookup import BATCH, Client, SharedLookup
from web.photos.waiting import LOOK_SECONDS

FLIGHTS_MAX = 256  # each costs checks; the clients of further pictures wait in threads
# The shortest pause between looks for expired clients; a client may wait this much longer.
LEAST_SECONDS = LOOK_SECONDS / 5
STUCK_SECONDS = 5.0  # a look that takes longer, its turn included, gets no further clients: they wait in threads


class Flight:
    """The clients that want one picture, in one size and in the same formats; those that have it get a 304."""

    def __init__(self, lookup: PhotoLookup) -> None:
        self.lookup = lookup
        self.clients: deque[Client] = deque()  # in the order of their coming, and so of their deadlines
        self.subjects: set[str] = set()  # whose "done" it hears
        self.is_looking = False  # or checking, or has its turn soon
        self.looking_since = 0.0  # by the context's clock, as all times here
        self.was_woken = False  # "done" came during a look or a check
        self.awaited: str | None = None  # the subject that the last look requested
        self.postponed: set[str] = set()  # subjects that their workers put off since the last look
        self.found_nothing = False  # in a look
        self.next_look = math.inf  # or the next check, infinite during both


class Flights:
    """All flights of a process."""

    def __init__(
        self,
        layer: PhotoLayer,
        *,
        run: Callable[[Callable[[], None]], object],
        defer: Callable[..., object],
        to_bytes: Callable[[Reply], bytes],
        looks_max: int,
    ) -> None:
        """`run` gives work to a thread. `defer` gives calls to the loop, in order. `to_bytes` runs in threads.

        At most `looks_max` looks and checks are in progress, so that other requests always find a thread.
        """
        self._layer = layer
        self._run, self._defer, self._to_bytes = run, defer, to_bytes
        self._flights: dict[PhotoRequest, Flight] = {}
        self._by_subject: dict[str, set[Flight]] = defaultdict(set)
        self._free_looks = looks_max
        self._turns: deque[Flight] = deque()  # that will look when another look has ended
        self._unchecked: list[Flight] = []  # that will be checked together, before the next look
        self._batches: deque[tuple[Flight, SharedLookup, list[bytes]]] = deque()  # that will be sent
        self._next_tick = math.inf  # the earliest next look or check
        self._next_check = -math.inf  # of all flights that wait by then

    def join(self, raw: RawRequest, photo_request: PhotoRequest, send: Callable[[bytes], None]) -> bool:
        """Let a client wait from now on. Returns False if it cannot: there are too many flights, or looks hang.

        The first client of a flight starts a look. The flight hears of "done" before that.
        """
        layer, context, flight = self._layer, self._layer.context, self._flights.get(photo_request)
        is_first = flight is None
        if self._is_stuck(flight or next(iter(self._turns or self._unchecked), None)):
            return False
        if flight is None:
            if len(self._flights) >= FLIGHTS_MAX:
                return False
            flight = Flight(PhotoLookup(layer.app, context, photo_request, layer.common))
            self._flights[photo_request] = flight
            self._subscribe_to_done(flight)
        exchange = layer.open(raw)
        flight.clients.append(Client(send, exchange, exchange.started + context.waiting.wait_seconds))
        if is_first:
            self._look_soon(flight)
        return True

    def wake(self, message: str) -> None:
        """Look again for the subject of a "done" message."""
        subject, _, outcome = message.partition(" ")
        for flight in list(self._by_subject.get(subject, ())):
            (flight.postponed.add if outcome == "postponed" else flight.postponed.discard)(subject)
            if flight.is_looking:
                flight.was_woken = True
            else:
                self._look_soon(flight)

    @property
    def seconds_to_tick(self) -> float:
        """The time until the loop must call `deliver` and `tick`, not positive if it has come."""
        return 0.0 if self._batches else self._next_tick - self._layer.context.clock()

    def tick(self) -> None:
        """Start what is due: a look for clients whose time is over, and one check for all other flights."""
        now = self._layer.context.clock()
        if now < self._next_tick:
            return
        for flight in self._flights.values():
            if flight.next_look <= now:
                is_over = flight.clients[0].deadline <= now
                self._line_up(flight, self._turns if is_over else self._unchecked)
        self._next_tick = min((flight.next_look for flight in self._flights.values()), default=math.inf)
        self._start_looks()

    def deliver(self) -> None:
        """Send at most BATCH answers, of all flights together: the loop calls this in each turn, so hits get between.

        A thread prepares the next batch of a look when this one is sent, so only a few answers are in memory.
        """
        left = BATCH
        while self._batches and len(self._batches[0][2]) <= left:
            flight, look, batch = self._batches.popleft()
            left -= len(batch)
            for answer in batch:
                flight.clients.popleft().send(answer)
            if look.has_more:
                self._run(partial(self._prepare, flight, look))  # web/server/worker.py, `PhotoWorker.open_fast_path`
            else:
                self._end_look(flight, look)

    def _is_stuck(self, flight: Flight | None) -> bool:
        if flight is None or not flight.is_looking:
            return False
        return self._layer.context.clock() - flight.looking_since > STUCK_SECONDS

    def _look_soon(self, flight: Flight) -> None:
        self._line_up(flight, self._turns)
        self._start_looks()

    def _line_up(self, flight: Flight, others: deque[Flight] | list[Flight]) -> None:
        flight.is_looking, flight.looking_since, flight.next_look = True, self._layer.context.clock(), math.inf
        others.append(flight)

    def _start_looks(self) -> None:
        if self._unchecked and self._free_looks:
            flights, self._unchecked = self._unchecked, []
            self._free_looks -= 1
            self._run(partial(self._check, flights))
        while self._turns and self._free_looks:
            flight = self._turns.popleft()
            self._free_looks -= 1
            look = SharedLookup(
                self._layer.context,
                flight.lookup,
                list(flight.clients),
                self._to_bytes,
                found_nothing_before=flight.found_nothing,
                is_postponed=flight.awaited in flight.postponed,  # another picture of an id may have been put off
            )
            flight.was_woken, flight.postponed = False, set()
            self._run(partial(self._prepare, flight, look))

    def _prepare(self, flight: Flight, look: SharedLookup) -> None:
        """Look, or go on with the answers of a look, in a thread. They come back through the loop."""
        self._defer(self._batches.append, (flight, look, look.next_batch()))

    def _check(self, flights: list[Flight]) -> None:
        """Ask for all of these in a thread. The answer comes back through the loop."""
        news = find_news(self._layer.context, [flight.lookup for flight in flights])
        self._defer(self._end_check, flights, news)

    def _end_check(self, flights: list[Flight], news: list[bool]) -> None:
        self._free_looks += 1
        for flight, has_news in zip(flights, news, strict=True):
            if has_news or flight.was_woken:
                self._line_up(flight, self._turns)
            else:
                flight.is_looking = False
                self._wait_on(flight)
        self._start_looks()

    def _end_look(self, flight: Flight, look: SharedLookup) -> None:
        """Free the look's place, and go on with the clients that are left: they wait on, or came during the look."""
        self._free_looks += 1
        flight.is_looking = False
        flight.found_nothing = flight.found_nothing or look.found_nothing
        flight.awaited = look.awaited or flight.awaited
        if not flight.clients:
            self._end(flight)
        elif self._subscribe_to_done(flight) or flight.was_woken or look.decides_all:
            self._look_soon(flight)
        else:
            self._wait_on(flight)
        self._start_looks()

    def _wait_on(self, flight: Flight) -> None:
        """Let the flight wait until the next check of all flights, or until the time of its first client is over."""
        now, first = self._layer.context.clock(), flight.clients[0].deadline
        if self._next_check <= now:
            self._next_check = now + LOOK_SECONDS
        flight.next_look = max(first, now + LEAST_SECONDS) if first <= self._next_check else self._next_check
        self._next_tick = min(self._next_tick, flight.next_look)

    def _subscribe_to_done(self, flight: Flight) -> bool:
        """Hear of "done" for all subjects that the lookup knows. Returns True if one of them is new."""
        new = flight.lookup.subjects - flight.subjects
        flight.subjects |= new
        for subject in new:
            self._by_subject[subject].add(flight)
        return bool(new)

    def _end(self, flight: Flight) -> None:
        del self._flights[flight.lookup.photo_request]
        for subject in flight.subjects:
            self._by_subject[subject].discard(flight)
            if not self._by_subject[subject]:
                del self._by_subject[subject]
