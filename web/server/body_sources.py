"""Where the parser of a request in a thread gets bytes that the loop has not gathered.

None of them lets a client hold the thread.
"""

from __future__ import annotations

import io
import select
import socket
import time

MAX_READS = 100  # of at most 8 KiB for chunks, of a packet or more for other bodies


class BodyNeededError(BaseException):
    """The app reads a body whose client waits for "100 Continue". It is no Exception, or the app would answer it."""


class UnsentBody(io.RawIOBase):
    """The body of a request before the client has been asked for it."""

    def readable(self) -> bool:
        return True

    def readinto(self, _: object) -> int:
        """Raises BodyNeededError."""
        raise BodyNeededError


class EndedSocket:
    """A source of bytes that has ended."""

    def recv(self, _size: int) -> bytes:
        """Nothing more."""
        return b""


class RestOfBody:
    """A source of what has arrived, and of what arrives before all waits together take too long.

    A thread that gets no turn still finds what has arrived. A client that sends byte by byte gets no more reads.
    """

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._sock, self._seconds = sock, seconds
        self._ends_at: float | None = None  # monotonic; known with the first wait
        self._left = MAX_READS

    def recv(self, size: int) -> bytes:
        """Raises TimeoutError if nothing more has arrived in time, or after too many reads."""
        if not is_ready(self._sock, select.POLLIN):
            now = time.monotonic()
            self._ends_at = self._ends_at or now + self._seconds
            if not is_ready(self._sock, select.POLLIN, max(0.0, self._ends_at - now)):
                raise TimeoutError
        if not self._left:
            raise TimeoutError
        self._left -= 1
        return self._sock.recv(size)


def is_ready(sock: socket.socket, events: int, seconds: float = 0.0) -> bool:
    """Returns True if one of these events of `select.poll` has come, or comes within the time."""
    poll = select.poll()
    poll.register(sock, events)
    return bool(poll.poll(seconds * 1000))
