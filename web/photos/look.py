"""One look at Redis for all clients that want the same answer, in a thread.

found ─→ 200 / 304 for each
known to be unavailable ─→ 404 for each
nothing ─→ requested from the workers; the clients whose time is over get 503, the others wait on

A client that joins later is not part of this look.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from redis.exceptions import RedisError

from warmer.photo import Unavailable
from warmer.request_id import working_for
from web.photos.cache import Answer
from web.photos.context import PhotoContext
from web.photos.exchange import Exchange, not_ready
from web.photos.lookup import Hit, PhotoLookup
from web.photos.response import Reply

Decide = Callable[[Exchange], Reply]
# Only where a listener of the user's own lets even the error's answer fail.
BROKEN = Reply("500 INTERNAL SERVER ERROR", [("Content-Length", "0"), ("Cache-Control", "no-store")], b"")
log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Client:
    """A client that waits."""

    send: Callable[[bytes], None]  # in the loop
    exchange: Exchange
    deadline: float  # by the context's clock


class Look:
    """One look for these clients, who have the same If-None-Match; at least one, the earliest deadline first."""

    def __init__(
        self,
        context: PhotoContext,
        lookup: PhotoLookup,
        clients: Sequence[Client],
        render: Callable[[Reply], bytes],
        *,
        had_missed: bool,
        is_postponed: bool,
    ) -> None:
        """`had_missed`: an earlier look found nothing. `is_postponed`: the worker has put the picture off."""
        self.context = context
        self.lookup = lookup
        self.clients = clients
        self.had_missed = had_missed
        self.is_postponed = is_postponed
        self.has_missed = False  # nothing is stored
        self.is_over = False  # every client has its answer
        self._render = render
        self._redis_timing = ""

    def answers(self) -> Iterator[bytes]:
        """The answers in the order of the clients, up to the first client who waits on."""
        decide = self._decide()
        now = self.context.clock()
        for client in self.clients:
            if decide is not None:
                yield self._answer(client.exchange, decide)
            elif self.is_postponed or client.deadline <= now:
                yield self._answer(client.exchange, partial(Exchange.refuse, error=not_ready()))
            else:
                return
        self.is_over = decide is not None

    def _decide(self) -> Decide | None:
        """Look. Returns how every client is answered, None if that is not certain yet."""
        first = self.clients[0].exchange
        try:
            with working_for(first.request_id):
                return self._look(first)
        except RedisError as error:
            stale = first.find_stale(self.lookup.photo_request, error)
            return partial(Exchange.refuse, error=error) if stale is None else self._serve(stale, was_hit=True)
        except Exception as error:  # noqa: BLE001 - every error gets an answer, which logs it
            return partial(Exchange.refuse, error=error)

    def _look(self, first: Exchange) -> Decide | None:
        context, photo_request = self.context, self.lookup.photo_request
        if (ready := first.find_ready(photo_request)) is not None:
            return self._serve(ready, was_hit=not self.had_missed)
        context.listener.ensure_started()
        generation, read_at = context.cache.get_generation(), context.clock()
        found = self.lookup.now()
        self._redis_timing = f"redis;dur={(context.clock() - read_at) * 1000:.1f}, "
        if isinstance(found, Hit):
            answer = self.lookup.to_answer(found, first.common, read_at)
            if found.is_newest:
                context.cache.put(photo_request, answer, generation)
            return self._serve(answer, was_hit=not self.had_missed)
        if isinstance(found, Unavailable):
            context.cache.drop(photo_request)
            return partial(Exchange.raise_absent, photo_request=photo_request)
        self.has_missed = True
        if self.is_postponed or self.lookup.request_warming():
            return None
        return partial(Exchange.raise_overloaded, photo_request=photo_request)

    def _serve(self, answer: Answer, *, was_hit: bool) -> Decide:
        return partial(Exchange.serve, photo_request=self.lookup.photo_request, answer=answer, was_hit=was_hit)

    def _answer(self, exchange: Exchange, decide: Decide) -> bytes:
        waited = (self.context.clock() - exchange.started) * 1000
        exchange.timings = self._redis_timing + (f"wait;dur={waited:.1f}, " if self.had_missed else "")
        try:
            with working_for(exchange.request_id):
                return self._render(decide(exchange))
        except Exception as error:  # noqa: BLE001 - as above
            return self._answer_error(exchange, error)

    def _answer_error(self, exchange: Exchange, error: Exception) -> bytes:
        try:
            return self._render(exchange.refuse(error))
        except Exception:
            log.exception("a client got an answer without a reason")
            return self._render(BROKEN)
