"""The worker that gunicorn runs: it answers plain requests for pictures and lists from its loop.

read ─→ plain, and the answer is in memory ─→ one send, and the connection stays polled (web/server/fast_path.py)
  ├──→ a picture not in memory ─→ waits in a flight, without a thread (web/photos/flights.py) ─→ one send ─→ idle
  └──→ anything else ─→ gathered, then a thread (web/server/gathering.py)

The loop keeps the rest of an answer until the client accepts it. A stopping worker gives every request to a thread,
since only threads answer `Connection: close`.
"""

from __future__ import annotations

import select
import selectors
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from typing import Any

from flask import Flask
from gunicorn.workers import gthread

from web.photos.app import PhotoLayer
from web.photos.flights import Flights
from web.server.connection import Connection
from web.server.fast_path import FastPath, Miss, permits_the_fast_path
from web.server.gathering import GatheringWorker
from web.server.plain_request import parse_plain
from web.signals import PHOTO_SIGNALS, has_foreign_receivers

CONNECTIONS_MAX = 7000  # per process
WAITING_SHARE = 0.75  # of them may wait for a picture; the others are for hits
GONE_SECONDS = 0.5  # the shortest pause between two searches for waiting clients that have left
# An end of the client's side. Where it has no name, only the end of both sides is found, which needs none.
GONE = getattr(select, "POLLRDHUP", 0)
LOOKS_SHARE = 0.25  # of the threads may look for their pictures; the others are for other requests


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
    """Answers plain requests for pictures and lists from its loop, and gathers all others."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.keepalived_conns = IdleConnections()
        self.idle_seconds = float(self.cfg.keepalive)
        # Beyond this number a client waits in a thread; when the threads are full, it gets 503.
        self.waiting_max = int(self.worker_connections * WAITING_SHARE)
        self.next_search = 0.0  # for waiting clients that have left (monotonic)
        self.fast_path: FastPath | None = None  # None: every request takes the ordinary way
        self.flights: Flights | None = None  # there with the fast path

    def load_wsgi(self) -> None:
        """Load the app, after the fork."""
        super().load_wsgi()
        start_threads(self.tpool, self.cfg.threads)
        self.open_fast_path()

    def open_fast_path(self) -> None:
        """Answer plain requests from the loop, if the pictures' layer is the outermost one of the app."""
        layer = self.wsgi.wsgi_app if type(self.wsgi) is Flask else None  # no wrapper, which would hear of no hit
        if type(layer) is PhotoLayer and permits_the_fast_path(self.cfg):
            self.fast_path = fast_path = FastPath(layer)
            self.flights = flights = Flights(
                layer,
                run=self.tpool.submit,
                defer=self.method_queue.defer,
                to_bytes=fast_path.to_bytes,
                looks_max=max(int(self.cfg.threads * LOOKS_SHARE), 1),
            )
            layer.context.waiting.pass_on(partial(self.method_queue.defer, flights.wake))

    def on_client_socket_readable(self, conn: Connection, sock: Any) -> None:
        """A request on an idle connection. After a hit it stays idle, and polled."""
        data = conn.recv_now()
        if data is None:
            return
        found = self._parse_and_find(data)
        if isinstance(found, bytes):
            with suppress(OSError):  # the client is gone: the next step meets that again
                if conn.send(found):
                    conn.timeout = time.monotonic() + self.idle_seconds  # gunicorn's own clock
                    self.keepalived_conns.append(conn)
                    return
        else:
            conn.add(data)
            conn.is_searched, conn.miss = conn.is_whole, found
        super().on_client_socket_readable(conn, sock)

    def _give_to_a_thread(self, conn: Connection) -> None:
        """Answer a whole request in the loop if possible. If not, its client waits, for Redis or for a picture."""
        found = conn.miss if conn.is_searched else self._parse_and_find(bytes(conn.received))
        if isinstance(found, bytes):
            conn.forget_request()
            self._send(conn, found)
        elif found is None or not self._park(conn, found):
            super()._give_to_a_thread(conn)

    def _parse_and_find(self, data: bytes) -> bytes | Miss | None:
        """Return the answer, or a Miss if it is not in memory. Returns None if a thread must answer."""
        if self.fast_path is None or not self.alive or (raw := parse_plain(data)) is None:
            return None
        return self.fast_path.find(raw)

    def _park(self, conn: Connection, miss: Miss) -> bool:
        """Let the client wait without a thread. Returns False if it cannot."""
        if self.flights is None or not self.alive:
            return False
        if len(self.parked) >= self.waiting_max and not self._drop_gone():
            return False
        if has_foreign_receivers(*PHOTO_SIGNALS):  # they would run one client after the other
            return False
        if not self.flights.join(miss.raw, miss.photo_request, partial(self._answer_parked, conn)):
            return False
        conn.forget_request()
        self._let_go(conn)
        conn.deadline = self.clock() + self.thread_seconds
        self.parked[conn] = None
        return True

    def _drop_gone(self) -> bool:
        """Close connections whose clients left while they waited. Returns True if there were any.

        Only for want of room: a client that has merely ended its side looks the same, and gets its answer otherwise.
        """
        if (now := self.clock()) < self.next_search:
            return False
        self.next_search = now + GONE_SECONDS
        poll, conns = select.poll(), {conn.sock.fileno(): conn for conn in self.parked}
        for number in conns:
            poll.register(number, GONE)
        gone = [conns[number] for number, _ in poll.poll(0)]
        for conn in gone:
            self._drop(conn)
        return bool(gone)

    def _answer_parked(self, conn: Connection, answer: bytes) -> None:
        if conn in self.parked:  # otherwise it was too late, and is closed
            self._let_go(conn)
            self._send(conn, answer)

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
        """Wait at most until answers can be sent, or the next look is due."""
        if self.flights is not None:
            timeout = max(0.0, min(timeout, self.flights.seconds_to_tick))
        super().wait_for_and_dispatch_events(timeout)

    def murder_pending(self) -> None:
        """Gunicorn calls this after all events of a turn."""
        super().murder_pending()
        if self.flights is not None:
            self.flights.deliver()
            self.flights.tick()


def start_threads(pool: Executor, number: int) -> None:
    """Start all threads of a pool: in the loop a start takes time, and one that fails would end all connections.

    Raises RuntimeError if the system allows no more threads.
    """
    barrier = threading.Barrier(number + 1)
    try:
        for _ in range(number):
            pool.submit(barrier.wait)
        barrier.wait()
    except BaseException:
        barrier.abort()  # or the threads would wait at the end of the process
        raise
