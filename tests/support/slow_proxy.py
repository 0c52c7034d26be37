"""A slow proxy to Redis."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from pathlib import Path

COMMAND = re.compile(rb"(?:^|\r\n)\*\d+\r\n")


class SlowProxy:
    """Listens on a unix socket and forwards to another one, after `seconds` per command."""

    def __init__(self, path: Path, target: str) -> None:
        self.url = f"unix://{path}"
        self.seconds = 0.0
        self._target = target.removeprefix("unix://")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(256)
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> SlowProxy:
        return self

    def __exit__(self, *_: object) -> None:
        """Accept no more connections, and end the open ones."""
        self.seconds = 0.0
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()  # it adds no further thread
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                self._ends += [client, server]
                for pair in ((client, server, True), (server, client, False)):
                    self._threads.append(threading.Thread(target=self._hand_on, args=pair, daemon=True))
                    self._threads[-1].start()

    def _hand_on(self, source: socket.socket, target: socket.socket, is_request: bool) -> None:
        with contextlib.suppress(OSError):  # one of the two is closed
            while data := source.recv(65_536):
                if is_request and self.seconds:
                    time.sleep(self.seconds * len(COMMAND.findall(data)))
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
