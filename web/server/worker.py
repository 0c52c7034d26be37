"""The worker that gunicorn runs: it answers plain requests for pictures from its loop.

read ─→ plain, and in the response cache ─→ one send, and the connection stays polled (web/server/fast_path.py)
  ├──→ plain, but not in memory ─→ waits in a flight, without a thread (web/photos/flights.py) ─→ one send ─→ idle
  └──→ anything else ─→ gathered, then a thread (web/server/gathering.py)

What a client does not take at once waits for it in the loop. A worker that stops begins nothing of its own: threads
tell the clients to close.
"""

from __future__ import annotations

import selectors
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.workers import gthread

from web.photos.app import PhotoLayer
from web.photos.flights import Flights
from web.photos.request import RawRequest
from web.server.connection import Connection
from web.server.fast_path import FastPath
from web.server.gathering import GatheringWorker
from web.server.plain_request import parse_plain, permits_the_fast_path

CONNECTIONS_MAX = 7000  # per process
WAITING_SHARE = 0.75  # of them may wait for a picture; the others are for hits


class IdleConnections:
    """Takes the place of gunicorn's deque, which has to search for a connection. The one idle longest is first."""

    def __init__(self) -> None:
        self._conns: OrderedDict[Connection, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._conns)

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._conns)

    def __getitem__(self, _first: int) -> Connection:
        return next(iter(self._conns))  # gunicorn asks for no other

    def append(self, conn: Connection) -> None:
        """A connection becomes idle, or was used once more."""
        self._conns[conn] = None
        self._conns.move_to_end(conn)

    def remove(self, conn: Connection) -> None:
        """A connection is idle no longer."""
        del self._conns[conn]

    def popleft(self) -> Connection:
        """Remove the one idle longest."""
        return self._conns.popitem(last=False)[0]


class PhotoWorker(GatheringWorker):
    """Answers plain requests for pictures from its loop, and gathers all others."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keepalived_conns = IdleConnections()
        self.idle_seconds = float(self.cfg.keepalive)
        # Beyond this number a client waits in a thread, and when those are full it gets 503.
        self.waiting_max = int(self.worker_connections * WAITING_SHARE)
        self.fast_path: FastPath | None = None  # None: every request takes the ordinary way
        self.flights: Flights | None = None  # there with the fast path

    def load_wsgi(self) -> None:
        """Load the app."""
        super().load_wsgi()
        self.open_fast_path()

    def open_fast_path(self) -> None:
        """Answer plain requests from the loop, if the pictures' layer is the outermost one of the app."""
        layer = getattr(self.wsgi, "wsgi_app", None)
        if type(layer) is PhotoLayer and permits_the_fast_path(self.cfg):
            self.fast_path = fast_path = FastPath(layer)
            self.flights = flights = Flights(
                layer, run=self.tpool.submit, defer=self.method_queue.defer, render=fast_path.to_bytes
            )
            layer.context.waiting.pass_on(partial(self._hear, flights))

    def on_client_socket_readable(self, conn: Connection, sock: Any) -> None:
        """A request on an idle connection. After a hit it stays idle, and polled."""
        data = conn.read()
        if data is None:
            return
        _, answer = self._find(data)
        if answer is None:
            conn.take(data)
        else:
            with suppress(OSError):  # the client is gone: the next step meets that again
                if conn.send(answer):
                    conn.timeout = time.monotonic() + self.idle_seconds  # gunicorn's own clock
                    self.keepalived_conns.append(conn)
                    return
        super().on_client_socket_readable(conn, sock)

    def _give_to_a_thread(self, conn: Connection) -> None:
        """Answer a whole request, in the loop if possible; or its client waits, for Redis or for a picture."""
        raw, answer = self._find(bytes(conn.received))
        if answer is not None:
            conn.forget_request()
            self._send(conn, answer)
        elif raw is not None and self._join(conn, raw):
            conn.forget_request()
            self._let_go(conn)
        else:
            super()._give_to_a_thread(conn)

    def _find(self, data: bytes) -> tuple[RawRequest | None, bytes | None]:
        """The request, if the loop may answer it, and its answer, if that is in memory."""
        if self.fast_path is None or not self.alive or (raw := parse_plain(data)) is None:
            return None, None
        return raw, self.fast_path.find_answer(raw)

    def _join(self, conn: Connection, raw: RawRequest) -> bool:
        if self.flights is None or self.flights.count >= self.waiting_max:
            return False
        return self.flights.join(raw, partial(self._send, conn))

    def _send(self, conn: Connection, answer: bytes) -> None:
        """Answer a client whose connection is not idle."""
        conn.unsent = answer
        self._go_on_for(self.request_seconds, conn)

    def _go_on(self, conn: Connection, _sock: Any = None) -> None:
        """Take one step. The rest of an answer comes first: until it is sent, the client's next request waits."""
        if not conn.unsent:
            super()._go_on(conn)
            return
        try:
            is_sent = conn.send(conn.unsent)
        except OSError:  # the client is gone
            self._drop(conn)
            return
        if is_sent:
            self._begin_idleness(conn)
        else:
            self._poll(conn, selectors.EVENT_WRITE)

    def _begin_idleness(self, conn: Connection) -> None:
        """As gunicorn does after the answer of a thread."""
        self._let_go(conn)
        conn.sock.setblocking(False)
        conn.set_timeout()
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + gthread.STOP_KEEPALIVE_LINGER)
        self.keepalived_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_client_socket_readable, conn))

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait at most until the next look is due."""
        if self.flights is not None:
            timeout = max(0.0, min(timeout, self.flights.seconds_to_tick))
        super().wait_for_and_dispatch_events(timeout)

    def murder_pending(self) -> None:
        """Gunicorn calls this after all events of a turn."""
        super().murder_pending()
        if self.flights is not None:
            self.flights.tick()

    def _hear(self, flights: Flights, message: str) -> None:
        """A "done" message, in the listener's thread.

        A worker that stops hears no more, since its queue may be closed: the looks four times a second go on.
        """
        if self.alive:
            self.method_queue.defer(flights.wake, message)
