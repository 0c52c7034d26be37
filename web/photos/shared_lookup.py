"""One look at Redis for all clients that want the same answer, in a thread.

found ─→ 200 / 304 for each
known to be unavailable ─→ 404 for each
nothing ─→ requested from the workers; the clients whose time is over get 503, the others wait on

A client that joins later is not part of this look.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from redis.exceptions import RedisError

from warmer.keys import Subject
from warmer.photo import Unavailable
from warmer.request_id import working_for
from web.photos.cache import Answer
from web.photos.context import PhotoContext
from web.photos.exchange import Exchange, not_ready
from web.photos.lookup import PhotoLookup
from web.photos.response import Reply, is_enough
from web.problems import to_problem

BATCH = 50  # answers that the loop sends in one go: about 1 ms
BATCH_SECONDS = 0.002  # of preparing, so that no client waits long for the answers of others
Answerer = Callable[[Exchange], Reply]
log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Client:
    """A client that waits."""

    send: Callable[[bytes], None]  # in the loop
    exchange: Exchange
    deadline: float  # by the context's clock


class SharedLookup:
    """One look for these clients, of which there is at least one. The earliest deadline comes first."""

    def __init__(
        self,
        context: PhotoContext,
        lookup: PhotoLookup,
        clients: Sequence[Client],
        to_bytes: Callable[[Reply], bytes],
        *,
        found_nothing_before: bool,
        is_postponed: bool,
    ) -> None:
        """`found_nothing_before`: an earlier look did. `is_postponed`: the worker has put the picture off."""
        self.context = context
        self.lookup = lookup
        self.found_nothing_before = found_nothing_before
        self.is_postponed = is_postponed
        self.found_nothing = False
        self.awaited: Subject | None = None  # that it has requested
        self.decides_all = False  # every client gets its answer, from this look or, after a purge, from the next
        self.has_more = True  # there is another batch
        self._clients = clients
        self._validators = {client.exchange.raw.if_none_match for client in clients}
        self._answered = 0
        self._answerer: Answerer | None = None
        self._has_picture = False
        self._generation = 0  # of the response cache
        self._started = 0.0
        self._to_bytes = to_bytes
        self._redis_timing = ""

    def next_batch(self) -> list[bytes]:
        """Look, the first time. Returns the next answers in the order of the clients, up to one who waits on.

        Never raises: a pool keeps an exception to itself, and the clients would get no answer.
        """
        clock, cache = self.context.clock, self.context.cache
        if not self._answered:
            self._generation = cache.get_generation()
            self._answerer = self._look()
            self._started, self.decides_all = clock(), self._answerer is not None
        elif self._has_picture and self._generation != cache.get_generation():  # a purge, perhaps of this picture
            self.has_more = False
            return []
        batch: list[bytes] = []
        until = clock() + BATCH_SECONDS
        for client in self._clients[self._answered : self._answered + BATCH]:
            if self._answerer is None and not self.is_postponed and client.deadline > self._started:
                self.has_more = False
                break
            batch.append(self._answer(client.exchange))
            if clock() > until:
                break
        self._answered += len(batch)
        self.has_more = self.has_more and self._answered < len(self._clients)
        return batch

    def _look(self) -> Answerer | None:
        """Returns how every client is answered, or None if that is not certain yet."""
        first = self._clients[0].exchange
        with working_for(first.request_id):
            try:
                return self._read()
            except BaseException as error:  # noqa: BLE001 - every error gets an answer, and is logged once
                problem = to_problem(error)
                if isinstance(error, RedisError):
                    return partial(self._serve_stale, error=error, problem=problem)
                return partial(Exchange.refuse, error=problem)

    def _read(self) -> Answerer | None:
        photo_request = self.lookup.photo_request
        ready = self.context.cache.get(photo_request)
        if ready is not None and is_enough(ready, self._validators):
            return self._serve(ready, was_hit=not self.found_nothing_before)
        started = self.context.clock()
        found = self.lookup.read(self._validators)
        self._redis_timing = f"redis;dur={(self.context.clock() - started) * 1000:.1f}, "
        if isinstance(found, Answer):
            return self._serve(found, was_hit=not self.found_nothing_before)
        if isinstance(found, Unavailable):
            return partial(Exchange.raise_absent, photo_request=photo_request)
        self.found_nothing = True
        if self.is_postponed:
            return None
        self.awaited = self.lookup.request_warming()
        if self.awaited is not None:
            return None
        return partial(Exchange.raise_overloaded, photo_request=photo_request)

    def _serve(self, answer: Answer, *, was_hit: bool) -> Answerer:
        self._has_picture = True
        return partial(Exchange.serve, photo_request=self.lookup.photo_request, answer=answer, was_hit=was_hit)

    def _serve_stale(self, exchange: Exchange, error: RedisError, problem: Exception) -> Reply:
        """Answer one client while Redis is away. Of an answer without its bytes, only some clients have the ETag."""
        stale = exchange.find_stale(self.lookup.photo_request, error)
        if stale is None:
            return exchange.refuse(problem)
        return exchange.serve(self.lookup.photo_request, stale, was_hit=True)

    def _answer(self, exchange: Exchange) -> bytes:
        waited = (self.context.clock() - exchange.started) * 1000
        exchange.timings = self._redis_timing + (f"wait;dur={waited:.1f}, " if self.found_nothing_before else "")
        answerer = self._answerer or partial(Exchange.refuse, error=not_ready())
        with working_for(exchange.request_id):
            try:
                return self._to_bytes(answerer(exchange))
            except BaseException as error:  # noqa: BLE001 - as above
                return self._answer_error(exchange, to_problem(error))

    def _answer_error(self, exchange: Exchange, error: Exception) -> bytes:
        try:
            return self._to_bytes(exchange.refuse(error))
        except BaseException:
            log.exception("the error answer failed; sent an empty 500")
            return self._to_bytes(exchange.answer_500())
