"""TLS servers with a self-signed certificate, which clients trust only if told to."""

from __future__ import annotations

import select
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.programs import find_program

Serve = Callable[[Any], None]


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate for 127.0.0.1 and localhost."""

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


@dataclass
class TlsServer:
    """What the server received in plain text, per connection; nothing from a client that refused the certificate."""

    port: int
    heard: list[bytes] = field(default_factory=list)
    connections: int = 0


@contextmanager
def serve_tls(certificate: Certificate, answer: bytes = b"") -> Iterator[TlsServer]:
    """Run a server that answers the first request of a connection with `answer` and the others with nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.file, certificate.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = TlsServer(listener.getsockname()[1])

        def serve() -> None:
            with suppress(OSError):
                while True:
                    _serve_one(listener, context, server, answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve_one(listener: socket.socket, context: ssl.SSLContext, server: TlsServer, answer: bytes) -> None:
    plain, _ = listener.accept()
    server.connections += 1
    plain.settimeout(10)  # a client that stays silent
    with plain, suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
        if heard := connection.recv(2**16):
            server.heard.append(heard)
            connection.sendall(answer)


class TlsForwarder(socketserver.ThreadingTCPServer):
    """Ends TLS in front of a plain server on loopback, and keeps what clients sent in plain text."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, certificate: Certificate, target_port: int) -> None:
        super().__init__(("127.0.0.1", 0), _ForwardingHandler)
        self.target = ("127.0.0.1", target_port)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate.file, certificate.key)
        self.heard = bytearray()
        self.connections = 0

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _ForwardingHandler(socketserver.BaseRequestHandler):
    server: Any

    def handle(self) -> None:
        self.server.connections += 1
        # A client that refuses the certificate, or is killed, ends the connection with one of these.
        with (
            suppress(OSError),
            self.server.context.wrap_socket(self.request, server_side=True) as client,
            socket.create_connection(self.server.target) as onward,
        ):
            other = {client: onward, onward: client}
            while True:
                ready = [client] if client.pending() else select.select(list(other), [], [])[0]
                for source in ready:
                    if not (piece := source.recv(2**16)):
                        return
                    if source is client:
                        self.server.heard += piece
                    other[source].sendall(piece)


@contextmanager
def forward_tls(certificate: Certificate, target_port: int) -> Iterator[TlsForwarder]:
    """A forwarder that runs in this block."""
    with TlsForwarder(certificate, target_port) as forwarder:
        thread = threading.Thread(target=forwarder.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield forwarder
        finally:
            forwarder.shutdown()
            thread.join()
