"""An HTTP proxy on loopback that opens tunnels (CONNECT) and nothing else."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

END_OF_HEAD = b"\r\n\r\n"


class Tunnel(socketserver.ThreadingTCPServer):
    """Keeps the heads of the requests to it, and whatever went through the tunnels."""

    daemon_threads = True

    def __init__(self, target: tuple[str, int] | None) -> None:
        """`target`: where every tunnel leads; None: where the client says."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.heads: list[bytes] = []
        self.carried = bytearray()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(socketserver.BaseRequestHandler):
    server: Any

    def handle(self) -> None:
        head = b""
        while END_OF_HEAD not in head and (more := self.request.recv(4096)):
            head += more
        self.server.heads.append(head)
        method, _, rest = head.partition(b" ")
        if method != b"CONNECT":
            self.request.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
            return
        host, _, port = rest.partition(b" ")[0].decode().rpartition(":")
        with socket.create_connection(self.server.target or (host, int(port))) as onward:
            self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._carry(onward)

    def _carry(self, onward: socket.socket) -> None:
        other = {onward: self.request, self.request: onward}
        while True:
            for ready in select.select(list(other), [], [])[0]:
                try:
                    piece = ready.recv(2**16)
                except ConnectionResetError:
                    return
                if not piece:
                    return
                self.server.carried += piece
                other[ready].sendall(piece)


@contextmanager
def open_tunnel(target: tuple[str, int] | None = None) -> Iterator[Tunnel]:
    """A proxy that runs in this block."""
    with Tunnel(target) as tunnel:
        thread = threading.Thread(target=tunnel.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield tunnel
        finally:
            tunnel.shutdown()
            thread.join()
