"""gunicorn's threads, kept from waiting for clients.

gunicorn gives a connection to a thread with its first byte, or for five seconds without one, and its loop stands still
for up to two seconds until a client closes: a hundred slow clients stop a process. Here no thread waits for a request,
and the loop gathers what does not come at once:

accept ─→ gather ── whole, and the answers before it are read ──→ a thread answers ─→ idle ─→ a thread looks …
            │ └────────────── not yet ←───────────────────────────────────────────────────────────┘
            └ not in time: closed                                     └ for the last time: leave ─→ closed

TLS ends before it, in a proxy. What is overridden is how ThreadWorker of gunicorn 27 works inside:
`tests/web/server/test_worker.py` holds it.
"""

from __future__ import annotations

import errno
import math
import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn import util
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import ThreadWorker

from web.server.connection import ClientSocket, Connection

FULL = (errno.EMFILE, errno.ENFILE)  # no descriptor is left, where gunicorn's process would end


UNFINISHED = object()  # what a thread says of a request that is not whole


class GatheringWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Gathers requests in its loop, and hands whole ones to its threads."""

    request_seconds = 10.0  # for a whole request to come, and for room for its answer
    thread_seconds = 20.0  # with a thread: a wait for a picture takes at most 10, the rest is the client's
    leave_seconds = 2.0  # for the client to read the last answer and to close
    drain_seconds = 0.05  # for the rest of a body that nobody read
    clock: Callable[[], float] = staticmethod(time.monotonic)  # gunicorn makes the worker: nothing can be passed in

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.polling: dict[Connection, None] = {}  # in the order of their coming; idle ones are gunicorn's
        self.working: set[Connection] = set()  # with a thread, or waiting for one
        self.next_look = 0.0  # at the deadlines
        self.is_full = False  # no descriptor was left for a client

    def accept(self, listener: socket.socket) -> None:
        """A client comes."""
        try:
            client_socket, client = listener.accept()
            conn = Connection(self.cfg, ClientSocket(client_socket), client, listener.getsockname())
        except OSError as error:  # the client has gone again, or there is no descriptor for it
            self.is_full = error.errno in FULL
            return
        self.nr_conns += 1
        self._go_on_for(self.request_seconds, conn)

    def enqueue_req(self, conn: Connection) -> None:
        """A request begins on a connection that had one: mostly it is whole, which the thread looks after.

        Not so one that was sent before the last answer was read: the client may not be reading at all.
        """
        if conn.begin():
            self._go_on_for(self.request_seconds, conn)
        else:
            self._give_to_a_thread(conn)

    def handle(self, conn: Connection) -> Any:
        """A thread begins."""
        conn.deadline = self.clock() + self.thread_seconds
        return super().handle(conn) if conn.is_handed_over() else UNFINISHED

    def finish_request(self, conn: Connection, fs: Any) -> None:
        """A thread is done."""
        self.working.discard(conn)
        result = None if fs.cancelled() or fs.exception() else fs.result()
        if result is UNFINISHED:
            self._go_on_for(self.request_seconds, conn)
        elif result:
            super().finish_request(conn, fs)
        else:
            self._leave(conn)

    def murder_pending(self) -> None:
        """Close what is late, or in the way; called when the loop has turned: no event is left for what is closed."""
        if self.is_full or self.nr_conns >= self.worker_connections:
            self.is_full = False
            self._make_room()
        now = self.clock()
        if now < self.next_look:
            return
        self.next_look = now + 0.5
        for conn in [conn for conn in self.polling if conn.deadline < now]:
            self._drop(conn)
        for conn in self.working:
            if conn.deadline < now:
                conn.cut_off()

    def _go_on(self, conn: Connection, _sock: Any = None) -> None:
        """One step: the socket may have become readable, or writable where that is waited for."""
        if conn.is_leaving or not conn.is_whole:
            conn.receive()
        if conn.has_ended:
            self._drop(conn)
        elif conn.is_leaving or not (conn.is_whole or conn.is_too_long):
            self._poll(conn, selectors.EVENT_READ)
        elif not conn.can_take_an_answer:
            self._poll(conn, selectors.EVENT_WRITE)
        elif conn.is_too_long:
            with suppress(OSError):  # it may have gone; whatever a client does, nothing of it may leave the loop
                util.write_error(conn.sock, *conn.refusal, "")
            self._leave(conn)
        else:
            self._give_to_a_thread(conn)

    def _make_room(self) -> None:
        """One goes: who has let us wait longest for a request, else who has been idle longest."""
        if self.polling:
            self._drop(next(iter(self.polling)))
        elif self.keepalived_conns:
            self.keepalived_conns[0].timeout = 0.0
            self.murder_keepalived()

    def _give_to_a_thread(self, conn: Connection) -> None:
        self._poll(conn, 0)
        self.polling.pop(conn, None)
        self.working.add(conn)
        conn.deadline = math.inf
        super().enqueue_req(conn)

    def _leave(self, conn: Connection) -> None:
        """Close after the client has, or soon: while it still sends, closing would take the answer back."""
        try:
            conn.close_politely()
        except OSError:
            self._drop(conn)
            return
        conn.is_leaving = True
        self._go_on_for(self.leave_seconds, conn)

    def _go_on_for(self, seconds: float, conn: Connection) -> None:
        self.polling[conn] = None
        conn.deadline = self.clock() + seconds
        self._go_on(conn)

    def _drop(self, conn: Connection) -> None:
        self._poll(conn, 0)
        self.polling.pop(conn, None)
        self.nr_conns -= 1
        conn.close()

    def _poll(self, conn: Connection, events: int) -> None:
        """Wait for these events; 0 for none."""
        if conn.polled == events:
            return
        if conn.polled:
            self.poller.unregister(conn.sock)
        if events:
            self.poller.register(conn.sock, events, partial(self._go_on, conn))
        conn.polled = events

    def _cap_keepalive(self, deadline: float) -> None:
        """A stopping worker waits no longer for clients than for idle ones."""
        super()._cap_keepalive(deadline)
        for conn in self.polling:
            conn.deadline = min(deadline, conn.deadline)

    def _keepalive_after(self, conn: Connection, keepalive: Any) -> bool:
        """Whether another request may follow; what hides it, a body that nobody read, is not waited for."""
        try:
            # By gunicorn's own clock.
            return bool(keepalive and conn.parser.finish_body(deadline=time.monotonic() + self.drain_seconds))
        except ParseException:  # of chunks; this request has its answer, and gets no second one
            return False
