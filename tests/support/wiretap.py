"""Records the output of a service: every HTTP answer, and every command and message in its Redis."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import requests

from tests.support.leaks import Places


class Notebook:
    """HTTP answers as they arrived: status line, headers, body."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.places: Places = {}

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request and record its answer."""
        answer = requests.request(method, self.url + path, timeout=60, allow_redirects=False, **options)
        head = f"{answer.status_code} {answer.reason}\n{answer.headers}\n".encode()
        self.places[f"{len(self.places)} {method} {path[:60]}: {answer.status_code}"] = head + answer.content
        return answer

    def send_raw(self, data: bytes) -> bytes:
        """Send bytes that need not be HTTP, and record the answer."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), 60) as connection:
            connection.sendall(data)
            answer = connection.makefile("rb").read()
        self.places[f"{len(self.places)} {data[:40]!r}"] = answer
        return answer


class Wiretap:
    """A connection to Redis that only listens and reconnects when it is cut."""

    def __init__(self, path: str, command: bytes) -> None:
        self.heard = bytearray()
        self._path, self._command = path, command
        self._stopped = threading.Event()
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._connection:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _listen(self) -> None:
        while not self._stopped.is_set():
            with suppress(OSError), socket.socket(socket.AF_UNIX) as self._connection:
                self._connection.connect(self._path)
                self._connection.sendall(b"CLIENT SETNAME wiretap\r\n" + self._command + b"\r\n")
                while heard := self._connection.recv(2**20):
                    self.heard += heard
            self._stopped.wait(0.05)


# All channels but `acknowledge`, for whose subscribers a DELETE waits; MONITOR shows that one.
ALL_BUT_ACKNOWLEDGE = b"PSUBSCRIBE *[^e] *done *purge"


@contextmanager
def tapping(path: str) -> Iterator[dict[str, Wiretap]]:
    """Records every command and message of the Redis at this socket."""
    with ExitStack() as stack:
        taps = {"MONITOR": Wiretap(path, b"MONITOR"), "PSUBSCRIBE": Wiretap(path, ALL_BUT_ACKNOWLEDGE)}
        for tap in taps.values():
            stack.callback(tap.stop)
        yield taps


def run_and_note(places: Places, name: str, command: list[str], environment: dict[str, str]) -> int:
    """Run a program and record its output. Returns its exit status."""
    done = subprocess.run(command, env=environment, capture_output=True, timeout=300, check=False)
    places[name] = done.stdout + b"\n" + done.stderr
    return done.returncode
