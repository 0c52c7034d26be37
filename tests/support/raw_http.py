"""HTTP by hand: bytes on a socket, and the answers."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import IO
from urllib.parse import urlsplit

SECONDS = 60.0  # per answer; ten times as long as a busy machine takes


@dataclass(frozen=True)
class RawAnswer:
    """One answer, unchanged."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


def connect(url: str, *, receive_buffer: int = 0) -> socket.socket:
    """Connect to the service; a small receive buffer makes the client read slowly, in packets like a real network's."""
    where = urlsplit(url)
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
    sock.settimeout(SECONDS)
    sock.connect((where.hostname, where.port))
    return sock


def head(line: str, *fields: str, host: str = "avatars.example") -> bytes:
    """Returns the head of a request, with a Host unless it is empty; text is Latin-1."""
    return "\r\n".join([line, *([f"Host: {host}"] if host else []), *fields, "", ""]).encode("latin-1")


def exchange(url: str, data: bytes, *, methods: str = "GET") -> list[RawAnswer]:
    """Send the bytes and read until the service closes; `methods` of the requests, since HEAD has no body."""
    with connect(url) as sock:
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the service may answer before it has read everything
        with sock.makefile("rb") as stream:
            return read_answers(stream, methods.split())


def read_answers(stream: IO[bytes], methods: list[str]) -> list[RawAnswer]:
    """Returns every answer until the end of the connection, also by a reset."""
    answers: list[RawAnswer] = []
    try:
        while answer := read_answer(stream, (methods[len(answers) :] or ["GET"])[0]):
            answers.append(answer)
    except ConnectionResetError:
        pass
    return answers


def read_answer(stream: IO[bytes], method: str = "GET") -> RawAnswer | None:
    """Returns the next answer, None at the end of the connection."""
    if not (line := stream.readline()):
        return None
    version, status, _ = line.split(b" ", 2)
    assert version in (b"HTTP/1.0", b"HTTP/1.1"), line
    headers: dict[str, str] = {}
    while line := stream.readline().rstrip(b"\r\n"):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    has_none = method == "HEAD" or status in (b"100", b"204", b"304")
    return RawAnswer(int(status), headers, b"" if has_none else _read_body(stream, headers))


def _read_body(stream: IO[bytes], headers: dict[str, str]) -> bytes:
    if "chunked" not in headers.get("transfer-encoding", ""):
        return stream.read(int(headers.get("content-length", "0")))
    body = b""
    while size := int(stream.readline(), 16):
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return body
