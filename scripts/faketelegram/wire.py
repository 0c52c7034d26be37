"""Sends an answer: whole, slowly, in part, or not at all."""

import socket
import struct
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus

from faketelegram.replies import Delivery, Reply

CHUNK = 65_536  # bytes
PHRASES = {status.value: status.phrase for status in HTTPStatus}  # a proxy may have other statuses, such as 520
Pause = Callable[[float], bool]  # waits that many seconds; returns False if the fake stops before they are over
NO_LINGER = struct.pack("ii", 1, 0)  # closing then sends RST instead of FIN


def deliver(reply: Reply, connection: socket.socket, pause: Pause, last: bool) -> bool:
    """Send the answer. Returns True if the connection can take another request. `last`: the client wants no other."""
    send = DELIVERIES.get(reply.delivery)
    if send is not None:
        return send(reply, connection, pause) and not last
    connection.sendall(_head(reply, _length(reply), last) + reply.body)
    return not last


def _length(reply: Reply) -> str:
    return f"Content-Length: {len(reply.body)}"


def _head(reply: Reply, framing: str, last: bool = False) -> bytes:
    lines = [
        f"HTTP/1.1 {reply.status} {PHRASES.get(reply.status, '')}",
        "Server: fake-telegram",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Type: {reply.content_type}",
        framing,
        f"Connection: {'close' if last else 'keep-alive'}",
        *(f"{name}: {value}" for name, value in reply.headers),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _chunked(reply: Reply, connection: socket.socket, _: Pause) -> bool:
    connection.sendall(_head(reply, "Transfer-Encoding: chunked"))
    for start in range(0, len(reply.body), CHUNK):
        piece = reply.body[start : start + CHUNK]
        connection.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
    connection.sendall(b"0\r\n\r\n")
    return True


def _drip(data: bytes, connection: socket.socket, interval: float, pause: Pause) -> bool:
    """Send one byte per interval. Returns True if all are sent before the fake stops."""
    for position in range(len(data)):
        connection.sendall(data[position : position + 1])
        if not pause(interval):
            return False
    return True


def _slow_headers(reply: Reply, connection: socket.socket, pause: Pause) -> bool:
    if not _drip(_head(reply, _length(reply)), connection, reply.interval, pause):
        return False
    connection.sendall(reply.body)
    return True


def _slow_body(reply: Reply, connection: socket.socket, pause: Pause) -> bool:
    connection.sendall(_head(reply, _length(reply)))
    return _drip(reply.body, connection, reply.interval, pause)


def _truncated(reply: Reply, connection: socket.socket, _: Pause) -> bool:
    connection.sendall(_head(reply, _length(reply)) + reply.body[: len(reply.body) // 2])
    return False


def _cut(reply: Reply, connection: socket.socket, _: Pause) -> bool:
    connection.sendall(_head(reply, "Cache-Control: no-store", last=True) + reply.body[: len(reply.body) // 2])
    return False


def _reset(_reply: Reply, connection: socket.socket, _: Pause) -> bool:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    return False


def _hang(_reply: Reply, connection: socket.socket, _: Pause) -> bool:
    """Wait until the client leaves; stopping the fake shuts the connection, which ends the wait."""
    while connection.recv(CHUNK):
        pass
    return False


DELIVERIES: dict[Delivery, Callable[[Reply, socket.socket, Pause], bool]] = {
    Delivery.CHUNKED: _chunked,
    Delivery.SLOW_HEADERS: _slow_headers,
    Delivery.SLOW_BODY: _slow_body,
    Delivery.TRUNCATED: _truncated,
    Delivery.CUT: _cut,
    Delivery.RESET: _reset,
    Delivery.HANG: _hang,
}
