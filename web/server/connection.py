"""A client's connection, and the received part of its next request."""

from __future__ import annotations

import errno
import math
import re
import select
import socket
import struct
from contextlib import suppress
from typing import Any

from gunicorn.workers.gthread import TConn

from web.problems import MAX_BODY_BYTES

MAX_HEAD_BYTES = 32 * 2**10
RECEIVE_BYTES = 16 * 2**10
# A thread that sends seldom waits for the client: every answer fits, unless the earlier ones are unread.
SEND_BUFFER_BYTES = 2**18
SEND_TIME = struct.pack("@ll", 0, 100_000)  # struct timeval: seconds, microseconds
# Only a guess where a request ends, so that threads seldom wait. Gunicorn alone parses it.
HEAD_END = re.compile(rb"\n\r?\n")  # a bare line feed is invalid, and refused at once
LENGTH = re.compile(rb"\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r?\n", re.IGNORECASE)
EXPECTS = re.compile(rb"\nexpect:", re.IGNORECASE)  # the body follows after gunicorn's "100 Continue"


class ClientSocket(socket.socket):
    """A client's socket: sending to it blocks no thread."""

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(fileno=accepted.detach())
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, SEND_TIME)

    def sendall(self, *args: Any) -> None:
        """Raises BrokenPipeError if the client has read so little that the answer does not fit."""
        try:
            super().sendall(*args)
        except BlockingIOError:
            raise BrokenPipeError(errno.EPIPE, "the client does not read") from None


class Connection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """A connection of gunicorn. Every method returns at once."""

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.data_ready = True  # so that no thread waits for the first byte
        self.received = bytearray()
        self.whole_bytes = 0  # of the next request; 0 until its head has ended
        self.has_ended = False  # by the client
        self.is_leaving = False  # the last answer is sent, and the client may close
        self.polled = 0  # selectors.EVENT_…
        self.deadline = math.inf  # of its current step (monotonic)

    @property
    def is_whole(self) -> bool:
        """Whether the request is complete, so that a thread can answer without waiting for the client."""
        return 0 < self.whole_bytes <= len(self.received)

    @property
    def is_too_long(self) -> bool:
        """Whether the head exceeds its limit."""
        return not self.whole_bytes and len(self.received) > MAX_HEAD_BYTES

    @property
    def refusal(self) -> int:
        """The status for a head that is too long."""
        return 431 if b"\n" in self.received else 414

    def begin(self) -> bool:
        """Start the next request with the bytes read beyond the previous one. Returns True if there are any."""
        ahead = self.parser.unreader.take_buffered()
        if ahead:
            self._add(ahead)
        return bool(ahead)

    def receive(self) -> None:
        """Take the received bytes."""
        data = self._receive()
        if data is not None and not self.is_leaving:
            self._add(data)

    def hand_over(self) -> bool:
        """Give the received bytes to the parser. Returns False if they are not a complete request yet."""
        if not self.received:
            data = self._receive()
            if data and self.initialized and data.startswith(b"GET ") and data.endswith(b"\r\n\r\n"):
                self.parser.unreader.unread(data)  # nearly every request arrives like this
                return True
            self._add(data or b"")
        if not self.is_whole:
            return False
        self.init()
        self.parser.unreader.unread(bytes(self.received))
        self.received.clear()
        self.whole_bytes = 0
        return True

    @property
    def can_take_an_answer(self) -> bool:
        """Whether the client has read enough of the earlier answers."""
        if not self.initialized:
            return True
        poll = select.poll()
        poll.register(self.sock, select.POLLOUT)
        return bool(poll.poll(0))

    def close_politely(self) -> None:
        """Tell the client that nothing more follows. Raises OSError if the client is gone."""
        self.sock.shutdown(socket.SHUT_WR)

    def cut_off(self) -> None:
        """Wake the thread that waits for the client."""
        with suppress(OSError):  # the connection may just have ended
            self.sock.shutdown(socket.SHUT_RDWR)

    def _receive(self) -> bytes | None:
        try:
            data: bytes = self.sock.recv(RECEIVE_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        self.has_ended = not data
        return data

    def _add(self, data: bytes) -> None:
        searched = max(len(self.received) - len(b"\n\r"), 0)
        self.received += data
        if not self.whole_bytes and (end := HEAD_END.search(self.received, searched)):
            self.whole_bytes = end.end()
            if not self.received.startswith(b"GET "):  # a GET's body stays unread
                self.whole_bytes += count_body_bytes(self.received[: end.end()])


def count_body_bytes(head: bytes | bytearray) -> int:
    """The length of the body that follows at once and will be read. A longer body is refused unread."""
    length = LENGTH.search(head)
    if length is None or EXPECTS.search(head) or int(length[1]) > MAX_BODY_BYTES:
        return 0
    return int(length[1])
