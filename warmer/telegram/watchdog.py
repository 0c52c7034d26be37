"""Total deadlines for HTTP calls: a socket timeout bounds one read only, and a thread cannot be killed.

A header that drips one byte per 0.1 s held a `requests` call for 22 s with a read timeout of 0.5 s. So one thread
per process looks at the calls under way four times a second and shuts the sockets of those that are over.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator

from warmer.deadline import Deadline

LOOK_SECONDS = 0.25


class _Call:
    """One call under way, and the sockets it uses."""

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self.was_cut = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()

    def follow(self, sock: socket.socket) -> None:
        """Keep a descriptor of our own: urllib3 may replace or close its socket object while the call goes on."""
        with self._lock:
            self._sockets.append(socket.socket(fileno=os.dup(sock.fileno())))
            if self.was_cut:  # meanwhile
                self._shut()

    def cut(self) -> None:
        with self._lock:
            self.was_cut = True
            self._shut()

    def _shut(self) -> None:
        for sock in self._sockets:
            with contextlib.suppress(OSError):  # the other side was quicker
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            while self._sockets:
                self._sockets.pop().close()


class Watchdog:
    """Cuts calls that outlive their deadline; its thread starts with the first call."""

    def __init__(self, look_seconds: float = LOOK_SECONDS) -> None:
        self._look_seconds = look_seconds
        self._calls: set[_Call] = set()
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def guard(self, deadline: Deadline) -> Iterator[_Call]:
        """Bound the HTTP call in this block; `was_cut` of the yielded call says whether the deadline ended it."""
        call = _Call(deadline)
        with self._changed:
            self._calls.add(call)
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._look, name="watchdog", daemon=True)
                self._thread.start()
            self._changed.notify()
        _current.call = call
        try:
            yield call
        finally:
            _current.call = None
            with self._changed:
                self._calls.discard(call)
            call.close()

    def close(self) -> None:
        """End the thread; a call that is still under way is bounded by its socket's timeouts alone."""
        with self._changed:
            self._closed.set()
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _look(self) -> None:
        while not self._closed.wait(self._look_seconds):
            with self._changed:
                self._changed.wait_for(lambda: self._calls or self._closed.is_set())
                over = [call for call in self._calls if call.deadline.remaining <= 0]
            for call in over:
                call.cut()


class _Current(threading.local):
    call: _Call | None = None


_current = _Current()


def follow(sock: socket.socket) -> None:
    """Tell the call under way in this thread, if any, which socket it uses."""
    if _current.call is not None:
        _current.call.follow(sock)


def is_cut() -> bool:
    """Returns True if the call under way in this thread was cut at its deadline."""
    return _current.call is not None and _current.call.was_cut
