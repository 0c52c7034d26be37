"""A client's connection, and the received part of its next request."""

from __future__ import annotations

import errno
import math
import select
import socket
import struct
from contextlib import suppress
from typing import Any

from gunicorn import util
from gunicorn.workers.gthread import TConn

from web.problems import MAX_BODY_BYTES, Problem, to_response
from web.server.body_sources import EndedSocket, RestOfBody, is_ready
from web.server.fast_path import Miss
from web.server.framing import CHUNKED, EXPECTS, HEAD_END, count_body_bytes, find_next_chunk

MAX_HEAD_BYTES = 32 * 2**10
RECEIVE_BYTES = 16 * 2**10
# The kernel may take twice as much memory. The loop keeps what does not fit, so a connection at rest needs little.
SEND_BUFFER_BYTES = 2**16
# A thread that sends seldom waits for the client: every answer fits, unless the earlier ones are unread.
THREAD_BUFFER_BYTES = 2**18
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
SEND_TIME = struct.pack("@ll", 0, 100_000)  # struct timeval: seconds, microseconds
MAX_REST_BYTES = MAX_BODY_BYTES + 1  # of a body that the app does not read; with so many the connection ends
MAX_CHUNKED_BYTES = 2 * MAX_BODY_BYTES  # with their sizes; the app's limit counts the body alone


def write_problem(sock: socket.socket, status: int, *_reason: str) -> None:
    """Answer a request that cannot be parsed, without repeating a part of it."""
    response = to_response(Problem(status, "the request is not HTTP as this service understands it"))
    response.headers["Connection"] = "close"
    lines = [f"HTTP/1.1 {response.status}", *(f"{name}: {value}" for name, value in response.headers)]
    util.write_nonblock(sock, "\r\n".join([*lines, "", ""]).encode("latin-1") + response.data)


util.write_error = write_problem  # instead of gunicorn's pages of HTML, for which it has no hook


class ClientSocket(socket.socket):
    """A client's socket: sending to it blocks no thread."""

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(fileno=accepted.detach())
        self.set_buffer(SEND_BUFFER_BYTES)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, SEND_TIME)

    def set_buffer(self, size: int) -> None:
        """Let the kernel take this many bytes ahead of the client. Some systems raise OSError if the client is gone."""
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)

    def sendall(self, *args: Any) -> None:
        """Raises BrokenPipeError if the client has read so little that the answer does not fit."""
        try:
            super().sendall(*args)
        except BlockingIOError:
            raise BrokenPipeError(errno.EPIPE, "the client does not read") from None


class Connection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """A connection of gunicorn. Every method but `finish_body` returns at once."""

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.data_ready = True  # so that no thread waits for the first byte
        self.received = bytearray()
        self.whole_bytes = 0  # of the next request; 0 until its head has ended
        self.head_bytes = 0  # of the next request, once its head has ended
        self.chunk_at = 0  # in `received`: the next chunk of a body in chunks; 0 for any other request
        self.is_cut = False  # no more of this request is read: its body ended early, or cannot be right
        self.unasked = b""  # the request that a thread has, if its client waits for "100 Continue"
        self.has_ended = False  # by the client
        self.is_leaving = False  # the last answer is sent, and the client may close
        self.is_searched = False  # the response cache was asked for the answer to the next request: it has none
        self.miss: Miss | None = None  # then, if the loop may answer it
        self.unsent: bytes | memoryview = b""  # of an answer that the loop sends
        self.polled = 0  # selectors.EVENT_…
        self.deadline = math.inf  # of its current step (monotonic)

    @property
    def is_whole(self) -> bool:
        """Returns True if the request is complete, so that a thread can answer without waiting for the client."""
        return 0 < self.whole_bytes <= len(self.received)

    @property
    def is_too_long(self) -> bool:
        """Returns True if the head exceeds its limit."""
        return not self.whole_bytes and not self.chunk_at and len(self.received) > MAX_HEAD_BYTES

    @property
    def refusal(self) -> int:
        """The status for a head that is too long."""
        return 431 if b"\n" in self.received else 414

    def begin(self) -> None:
        """Start the next request with the bytes read beyond the previous one."""
        self.add(self.parser.unreader.take_buffered())

    def receive(self) -> None:
        """Add what has arrived."""
        data = self.recv_now()
        if data is not None and not self.is_leaving:
            self.add(data)
        if self.has_ended and not self.is_whole and (self.whole_bytes or self.chunk_at):
            self._cut()

    def hand_over(self) -> None:
        """Give the whole request to the parser, with what arrived behind it."""
        self.unasked = b""
        self.sock.set_buffer(THREAD_BUFFER_BYTES)
        self.init()
        request = bytes(self.received)
        if self.is_cut:
            self.parser.unreader.sock = EndedSocket()  # so that no thread waits for the rest; the connection ends
        if EXPECTS.search(request, 0, self.head_bytes):
            self.unasked = request
        self.parser.unreader.unread(request)
        self.forget_request()

    def forget_request(self) -> None:
        """The request is in other hands, or answered."""
        self.received.clear()
        self.whole_bytes = self.chunk_at = 0
        self.is_searched, self.miss = False, None

    def send(self, answer: bytes | memoryview) -> bool:
        """Send what the client takes now, and keep the rest. Returns True if there is none. Raises OSError."""
        self.unsent = answer
        with suppress(BlockingIOError):
            sent = self.sock.send(answer, socket.MSG_DONTWAIT)
            self.unsent = memoryview(answer)[sent:] if sent < len(answer) else b""
        return not self.unsent

    def ask_for_body(self) -> None:
        """Take the request back from a thread, and ask the client for its body. Raises OSError."""
        self.parser.mesg = None
        self.parser.unreader.take_buffered()
        end = HEAD_END.search(self.unasked)
        assert end  # noqa: S101 - a thread had the whole head
        head = EXPECTS.sub(b"", self.unasked[: end.end()])
        self.add(head + self.unasked[end.end() :])
        if not self.is_whole and b" HTTP/1.0" not in head[: head.index(b"\n")]:
            self.sock.send(CONTINUE, socket.MSG_DONTWAIT)

    @property
    def can_take_an_answer(self) -> bool:
        """Returns True if the client has read enough of the earlier answers."""
        return is_ready(self.sock, select.POLLOUT)

    def finish_body(self, seconds: float) -> bool:
        """Discard the unread rest of a body, in the request's thread. Returns False if it is too long or does not come.

        It waits at most so many seconds. Gunicorn's own deadline would also end the connection of a thread that gets no
        turn for so long. Raises gunicorn's ParseException for malformed chunks.
        """
        unreader = self.parser.unreader
        if unreader.sock is not self.sock:  # nothing more is read
            return bool(self.parser.finish_body(max_bytes=MAX_REST_BYTES))
        unreader.sock = RestOfBody(self.sock, seconds)
        try:
            return bool(self.parser.finish_body(max_bytes=MAX_REST_BYTES))
        finally:
            unreader.sock = self.sock

    def close_politely(self) -> None:
        """Tell the client that nothing more follows. Raises OSError if the client is gone."""
        self.sock.shutdown(socket.SHUT_WR)

    def cut_off(self) -> None:
        """Wake the thread that waits for the client."""
        with suppress(OSError):  # the connection may just have ended
            self.sock.shutdown(socket.SHUT_RDWR)

    def recv_now(self) -> bytes | None:
        """Return the bytes that have arrived. Returns None if there are none yet, and b"" if the client is gone."""
        try:
            data: bytes = self.sock.recv(RECEIVE_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        self.has_ended = not data
        return data

    def add(self, data: bytes) -> None:
        """Add what was read, and look where the request ends."""
        searched = max(len(self.received) - len(b"\n\r"), 0)
        self.received += data
        if not self.whole_bytes and not self.chunk_at and (end := HEAD_END.search(self.received, searched)):
            self.head_bytes = end.end()
            head = self.received[: end.end()]
            if head.startswith(b"GET ") or EXPECTS.search(head):  # a GET's body stays unread
                self.whole_bytes = end.end()
            elif CHUNKED.search(head):
                self.chunk_at = end.end()
            else:
                self.whole_bytes = end.end() + count_body_bytes(head)
        if self.chunk_at and not self.whole_bytes:
            self._go_on_with_chunks()

    def _go_on_with_chunks(self) -> None:
        try:
            self.chunk_at, is_last = find_next_chunk(self.received, self.chunk_at)
        except ValueError:
            self._cut()
        else:
            if is_last:
                self.whole_bytes = self.chunk_at
            elif len(self.received) - self.head_bytes > MAX_CHUNKED_BYTES:
                self._cut()

    def _cut(self) -> None:
        self.is_cut, self.whole_bytes = True, len(self.received)
