"""Gunicorn's threaded worker, without threads that wait for clients.

Gunicorn gives a connection to a thread with its first byte, or for five seconds without one, and its loop blocks for up
to two seconds until a client closes: a hundred slow clients stop a process. Here no thread waits for a request: the
loop reads and gathers all of them.

accept ─→ gather ── complete, and earlier answers are read ──→ a thread answers ─→ idle ─→ gather …
            └ too late: closed                                     └ last answer: leave ─→ closed

A request with `Expect: 100-continue` goes to a thread with its head alone. If the app reads the body, the thread gives
the request back, and the loop asks the client for the body and gathers it.

TLS ends before it, in a proxy. It overrides internals of gunicorn's ThreadWorker, which
tests/web/server/test_private.py lists.
"""

from __future__ import annotations

import errno
import math
import os
import selectors
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.http.errors import ParseException
from gunicorn.workers import gthread

from web.server.body_sources import BodyNeededError, UnsentBody
from web.server.connection import SEND_BUFFER_BYTES, ClientSocket, Connection, write_problem

FULL = (errno.EMFILE, errno.ENFILE)  # no descriptor is left; gunicorn's process would end
UNASKED = object()  # the result of a thread whose app wants a body that the client has not sent yet


class MethodQueue(gthread.PollableMethodQueue):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's queue of calls for the loop. After its end, calls from threads write to no pipe."""

    def close(self) -> None:
        """Close the pipe. Another file may get its number, so nothing keeps that."""
        write_fd, self._write_fd = self._write_fd, -1  # type: ignore[has-type]  # gunicorn has no types
        with suppress(OSError, TypeError):  # it was closed already, or never opened
            os.close(write_fd)
        super().close()


class GatheringWorker(gthread.ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Gathers requests in its loop, and hands complete ones to its threads."""

    request_seconds = 10.0  # for a complete request, and for room for its answer
    thread_seconds = 20.0  # in a thread: at most 10 for a picture, the rest for the client
    leave_seconds = 2.0  # for the client to read the last answer and close
    drain_seconds = 0.05  # for the unread rest of a body
    spared_seconds = 1.0  # for a connection that has just been used, if there are too many
    clock: Callable[[], float] = staticmethod(time.monotonic)  # not passed in, since gunicorn makes the worker

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.method_queue = MethodQueue()
        self.polling: dict[Connection, None] = {}  # in order of arrival; gunicorn keeps the idle ones
        self.working: set[Connection] = set()  # in a thread, or waiting for one
        self.parked: dict[Connection, None] = {}  # waiting for an answer, which the loop will send
        self.next_deadline_check = 0.0  # monotonic
        self.is_full = False  # the last client found no descriptor

    def accept(self, listener: socket.socket) -> None:
        """A client connects."""
        try:
            client_socket, client = listener.accept()
            conn = Connection(self.cfg, ClientSocket(client_socket), client, listener.getsockname())
        except OSError as error:  # the client is gone, or no descriptor is left
            self.is_full = error.errno in FULL
            return
        self.nr_conns += 1
        self._go_on_for(self.request_seconds, conn)

    def enqueue_req(self, conn: Connection) -> None:
        """A further request was sent ahead of the last answer. It is gathered: its client may not be reading at all."""
        conn.begin()
        self._go_on_for(self.request_seconds, conn)

    def on_client_socket_readable(self, conn: Connection, _sock: Any) -> None:
        """A further request begins on an idle connection, or the client closes it."""
        self.poller.unregister(conn.sock)
        self.keepalived_conns.remove(conn)
        self._go_on_for(self.request_seconds, conn)

    def handle(self, conn: Connection) -> Any:
        """A thread starts with a request."""
        conn.deadline = self.clock() + self.thread_seconds
        conn.hand_over()
        try:
            return super().handle(conn)
        except BodyNeededError:
            return UNASKED

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """Call the app. A client that waits for "100 Continue" gets it when the app reads, so never before a 401."""
        req._expected_100_continue = False  # gunicorn would send it at once
        if not conn.unasked:
            return super().handle_request(req, conn)
        body, req.body = req.body, UnsentBody()
        try:
            return super().handle_request(req, conn)
        finally:
            req.body = body

    def finish_request(self, conn: Connection, fs: Any) -> None:
        """A thread has ended its request."""
        self.working.discard(conn)
        result = None if fs.cancelled() or fs.exception() else fs.result()
        if result is UNASKED:
            try:
                conn.ask_for_body()
            except OSError:  # the client is gone
                self._drop(conn)
            else:
                self._go_on_for(self.request_seconds, conn)
        elif result:
            with suppress(OSError):  # the client is gone: the next step meets that again
                conn.sock.set_buffer(SEND_BUFFER_BYTES)
            super().finish_request(conn, fs)
        else:
            self._leave(conn)

    def murder_pending(self) -> None:
        """Close late connections, or one to make room. Gunicorn calls this after all events of a turn."""
        if self.alive and (self.is_full or self.nr_conns >= self.worker_connections):
            self._make_room()
        self.is_full = False
        now = self.clock()
        if now < self.next_deadline_check:
            return
        self.next_deadline_check = now + 0.5
        for conn in [conn for conn in (*self.polling, *self.parked) if conn.deadline < now]:
            self._drop(conn)
        for conn in self.working:
            if conn.deadline < now:
                conn.cut_off()

    def _go_on(self, conn: Connection, _sock: Any = None) -> None:
        """Take one step: the socket is readable, or writable if that was polled."""
        if conn.is_leaving or not conn.is_whole:
            conn.receive()
        if conn.has_ended and not conn.is_whole:
            self._drop(conn)
        elif conn.is_leaving or not (conn.is_whole or conn.is_too_long):
            self._poll(conn, selectors.EVENT_READ)
        elif not conn.can_take_an_answer:
            self._poll(conn, selectors.EVENT_WRITE)
        elif conn.is_too_long:
            with suppress(OSError):  # the client may be gone, and no error may leave the loop
                write_problem(conn.sock, conn.refusal)
            self._leave(conn)
        else:
            self._give_to_a_thread(conn)

    def _make_room(self) -> None:
        """Close one connection: the one idle longest, since its client loses nothing.

        If none has been idle for a second, the client that has sent part of a request, or nothing, for the longest time
        and for a second. Only then one that was just used, and last one that takes its answer. One that just came is
        spared while most others are in threads or parked, since they soon make room, and a descriptor is left.
        """
        idle = self.keepalived_conns
        slow = next((conn for conn in self.polling if not conn.unsent), None)
        last = slow or next(iter(self.polling), None)
        if idle and (self._is_at_rest(idle[0]) or not self._is_slow(slow)):
            idle[0].timeout = 0.0
            self.murder_keepalived()
        elif last and (self.is_full or self._is_slow(last) or 2 * len(self.polling) > self.nr_conns):
            self._drop(last)

    def _is_slow(self, conn: Connection | None) -> bool:
        """Returns True if this client has been polled for a second."""
        return conn is not None and conn.deadline - self.clock() < self.request_seconds - self.spared_seconds

    def _is_at_rest(self, conn: Connection) -> bool:
        """Returns True unless this idle connection has just been used."""
        used_at: float = conn.timeout - self.cfg.keepalive
        return time.monotonic() - used_at > self.spared_seconds  # gunicorn's own clock

    def _give_to_a_thread(self, conn: Connection) -> None:
        self._let_go(conn)
        self.working.add(conn)
        conn.deadline = math.inf
        super().enqueue_req(conn)

    def _leave(self, conn: Connection) -> None:
        """Close after the client, or soon: closing while the client still sends would discard the answer."""
        try:
            conn.close_politely()
        except OSError:
            self._drop(conn)
            return
        conn.is_leaving = True
        self._go_on_for(self.leave_seconds, conn)

    def _go_on_for(self, seconds: float, conn: Connection) -> None:
        """Poll it for so long. A stopping worker gives more time than to idle clients only to those it answers."""
        if not self.alive and not conn.unsent:
            seconds = min(seconds, gthread.STOP_KEEPALIVE_LINGER)
        self.polling[conn] = None
        conn.deadline = self.clock() + seconds
        self._go_on(conn)

    def _let_go(self, conn: Connection) -> None:
        """Poll it no longer, and forget its deadline."""
        self._poll(conn, 0)
        self.polling.pop(conn, None)
        self.parked.pop(conn, None)

    def _drop(self, conn: Connection) -> None:
        self._let_go(conn)
        self.nr_conns -= 1
        conn.close()

    def _poll(self, conn: Connection, events: int) -> None:
        """Poll for these events, 0 for none."""
        if conn.polled == events:
            return
        if conn.polled:
            self.poller.unregister(conn.sock)
        if events:
            self.poller.register(conn.sock, events, partial(self._go_on, conn))
        conn.polled = events

    def _cap_keepalive(self, deadline: float) -> None:
        """A stopping worker gives active clients no more time than idle ones."""
        super()._cap_keepalive(deadline)
        for conn in self.polling:
            conn.deadline = min(deadline, conn.deadline)

    def _keepalive_after(self, conn: Connection, keepalive: Any) -> bool:
        """Returns True if another request may follow. The unread rest of a body is awaited only briefly."""
        try:
            return bool(keepalive) and conn.finish_body(self.drain_seconds)
        except ParseException:  # malformed chunks; the request has its answer already
            return False
