"""Servers on this machine: with scripted answers, relays with faults, proxies; some of them over TLS."""

from __future__ import annotations

import re
import select
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.programs import find_program

PIECE = 2**16  # bytes
REDIS_COMMAND = re.compile(rb"(?:^|\r\n)\*\d+\r\n")
Pieces = Iterable[bytes]  # of one answer, in order


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for 127.0.0.1 and localhost, which clients trust only if told to."""

    file: Path
    key: Path


def make_certificate(folder: Path, names: str = "IP:127.0.0.1,DNS:localhost") -> Certificate:
    """Make a new one in this folder, for these names."""
    made = Certificate(folder / "cert.pem", folder / "key.pem")
    subprocess.run(
        [find_program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "2", "-subj", "/CN=test", "-addext", f"subjectAltName={names}",
         "-keyout", str(made.key), "-out", str(made.file)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return made


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


class Server(ThreadingTCPServer):
    """Serves each connection in a thread of its own, on a free port or at `path`. `connections` counts its clients."""

    request_queue_size = 256

    def __init__(self, *, certificate: Certificate | None = None, path: Path | None = None) -> None:
        self.address_family = socket.AF_UNIX if path else socket.AF_INET
        address: Any = str(path) if path else ("127.0.0.1", 0)
        super().__init__(address, BaseRequestHandler)
        self.port = 0 if path else int(self.server_address[1])
        self.url = f"unix://{path}" if path else f"http://127.0.0.1:{self.port}"
        self.connections = 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
        if self.context and certificate:
            self.context.load_cert_chain(certificate.file, certificate.key)
        self._open: list[socket.socket] = []
        self._is_cut = False
        self._accepting = threading.Thread(target=self.serve_forever, args=(0.05,))
        self._accepting.start()

    def serve(self, client: socket.socket) -> None:
        """Serve one connection; it is closed afterwards."""
        raise NotImplementedError

    def cut(self) -> None:
        """Act as if the server were away: open connections end, and new ones end at once."""
        self._is_cut = True
        for end in list(self._open):
            with suppress(OSError):  # already closed
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the server and its connections. A second call does nothing."""
        self.shutdown()
        self._accepting.join()
        self.cut()
        self.server_close()  # waits for the threads of the connections

    def __exit__(self, *_: object) -> None:
        self.close()

    def get_request(self) -> Any:
        self.connections += 1
        return super().get_request()

    def finish_request(self, request: Any, _address: object) -> None:
        # A client that refuses the certificate, or is killed, ends its connection with an error.
        with suppress(OSError):
            if not self.context:
                self.serve(self._keep(request))
                return
            with self.context.wrap_socket(request, server_side=True, do_handshake_on_connect=False) as client:
                self._keep(client)
                self._shake_hands(client)
                self.serve(client)

    def _shake_hands(self, client: ssl.SSLSocket) -> None:
        try:
            client.do_handshake()
        except ssl.SSLError as error:
            # A client that names no certificate reads the refusal after it has spoken: unread words would reset it.
            while error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE" and socket.socket.recv(client, PIECE):
                pass
            raise

    def _keep(self, end: socket.socket) -> socket.socket:
        """Let `cut` end this connection, too."""
        self._open.append(end)
        if self._is_cut:
            raise ConnectionAbortedError
        return end


class OneAnswer(Server):
    """Answers the first bytes of each connection, which `heard` lists, with the same bytes."""

    def __init__(self, answer: bytes = b"", *, certificate: Certificate | None = None) -> None:
        self.answer = answer
        self.heard: list[bytes] = []
        super().__init__(certificate=certificate)

    def serve(self, client: socket.socket) -> None:
        if heard := client.recv(PIECE):
            self.heard.append(heard)
            client.sendall(self.answer)


class HttpStub(Server):
    """Answers requests byte by byte, one per connection. `heads` lists the lines of their heads."""

    def __init__(self) -> None:
        self.heads: list[list[str]] = []
        super().__init__()

    def respond(self, line: str, body: bytes, /) -> Pieces:
        """Returns the answer to a request such as "GET /path"."""
        raise NotImplementedError

    def serve(self, client: socket.socket) -> None:
        head, length = [], 0
        with client.makefile("rb") as stream:
            while line := stream.readline(100_000).decode("latin-1").strip():
                head.append(line)
                length = int(line[15:]) if line.lower().startswith("content-length:") else length
            body = stream.read(length)
        if head:
            self.heads.append(head)
            for piece in self.respond(head[0].rpartition(" ")[0], body):
                client.sendall(piece)


def reply(body: bytes = b"", *headers: str, status: int = 200, has_length: bool = True) -> list[bytes]:
    """Returns one whole answer over HTTP; without a length it ends with the connection."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Connection: close", *headers]
    lines += [f"Content-Length: {len(body)}"] if has_length else []
    return [("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogatepass"), body]


class Relay(Server):
    """Stands in front of the server at the URL `target`, and keeps what clients have `sent` and what it `answered`."""

    def __init__(self, target: str, *, certificate: Certificate | None = None, path: Path | None = None) -> None:
        self.target = target
        self.sent, self.answered = bytearray(), bytearray()
        self.command_seconds = 0.0  # before each command to a Redis
        self.answers = threading.Event()  # cleared: answers are delayed
        self.answers.set()
        super().__init__(certificate=certificate, path=path)

    def serve(self, client: socket.socket) -> None:
        with self._connect(self.target) as server:
            self._relay(client, server)

    def close(self) -> None:
        """End the relay and its connections. A second call does nothing."""
        self.answers.set()
        super().close()

    def _connect(self, url: str) -> socket.socket:
        place = urlsplit(url)
        if place.scheme != "unix":
            return self._keep(socket.create_connection((place.hostname, place.port)))
        server = self._keep(socket.socket(socket.AF_UNIX))
        server.connect(place.path)
        return server

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        """Hand on what either side sends until one of them ends the connection."""
        while True:
            is_decrypted = isinstance(client, ssl.SSLSocket) and client.pending()
            for source in [client] if is_decrypted else select.select([client, server], [], [])[0]:
                if not (data := source.recv(PIECE)):
                    return
                if source is client:
                    self.sent += data
                    time.sleep(self.command_seconds * len(REDIS_COMMAND.findall(data)))
                    server.sendall(data)
                else:
                    self.answers.wait()
                    self.answered += data
                    client.sendall(data)


class Tunnel(Relay):
    """A proxy that opens tunnels (CONNECT) and nothing else: to `target`, or without one to where the client says.

    `heads` lists the heads of the requests to it.
    """

    def __init__(self, target: str = "") -> None:
        self.heads: list[bytes] = []
        super().__init__(target)

    def serve(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head and (more := client.recv(4096)):
            head += more
        self.heads.append(head)
        if not head.startswith(b"CONNECT "):
            return
        with self._connect(self.target or f"//{head.split()[1].decode()}") as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._relay(client, server)
