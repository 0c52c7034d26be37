"""Where the parser of a request in a thread gets bytes that the loop has not gathered. None lets a client hold it."""

from __future__ import annotations

import io
import select
import socket


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
    """A source of what has arrived, and of what arrives within one wait: no client can prolong that byte by byte."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._sock, self._seconds = sock, seconds

    def recv(self, size: int) -> bytes:
        """Raises TimeoutError if nothing more has arrived."""
        if not is_ready(self._sock, select.POLLIN):
            seconds, self._seconds = self._seconds, 0.0
            if not is_ready(self._sock, select.POLLIN, seconds):
                raise TimeoutError
        return self._sock.recv(size)


def is_ready(sock: socket.socket, events: int, seconds: float = 0.0) -> bool:
    """Returns True if one of these events of `select.poll` has come, or comes within the time."""
    poll = select.poll()
    poll.register(sock, events)
    return bool(poll.poll(seconds * 1000))
