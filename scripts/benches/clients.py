"""Clients with keep-alive connections, the same for every contestant."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection
from threading import Barrier

TIMEOUT = 30  # seconds
ACCEPT = {"Accept": "image/webp,*/*"}  # the service sends WebP only to clients that name it


class Client:
    """One connection to a server on this machine."""

    def __init__(self, port: int, headers: Mapping[str, str] | None = None) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        self._headers = {**ACCEPT, **(headers or {})}

    def send(self, path: str) -> None:
        """Send a request without waiting for the answer."""
        self._connection.request("GET", path, headers=self._headers)

    def receive(self) -> bytes:
        """The body of the answer to the last request; raises ValueError unless it is a 200."""
        status, body = self.receive_any()
        require_ok(status, body)
        return body

    def receive_any(self) -> tuple[int, bytes]:
        """Status and body of the answer to the last request."""
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def get(self, path: str) -> bytes:
        """Send a request; the body of its answer. Raises ValueError unless it is a 200."""
        self.send(path)
        return self.receive()

    def time(self, path: str) -> float:
        """The seconds until the answer is complete."""
        started = time.perf_counter()
        self.get(path)
        return time.perf_counter() - started

    def close(self) -> None:
        self._connection.close()


def require_ok(status: int, body: bytes) -> None:
    """Raise ValueError unless the status is 200."""
    if status != HTTPStatus.OK:
        raise ValueError(f"answered {status}: {body[:200]!r}")


def ask_all(port: int, paths: Sequence[str], *, clients: int, is_patient: bool = False) -> list[float]:
    """Request all paths with this many clients at once; the seconds of each answer.

    Patient clients retry after a 503, as pages do, and the last answer counts. Raises ValueError for any other status
    than 200.
    """
    left = deque(paths)

    def work() -> list[float]:
        client, seconds = Client(port), []
        with suppress(IndexError):  # all paths are requested
            while True:
                path, started = left.popleft(), time.perf_counter()
                client.send(path)
                status, body = client.receive_any()
                if is_patient and status == HTTPStatus.SERVICE_UNAVAILABLE:
                    left.append(path)
                    continue
                require_ok(status, body)
                seconds.append(time.perf_counter() - started)
        client.close()
        return seconds

    with ThreadPoolExecutor(clients) as threads:
        shares = [threads.submit(work) for _ in range(clients)]
        return [one for share in shares for one in share.result()]


def ask_at_once(port: int, path: str, clients: int) -> list[int]:
    """Let many clients request one path at the same moment; the status that each one gets."""
    together = Barrier(clients)

    def work() -> int:
        client = Client(port)
        together.wait(TIMEOUT)
        client.send(path)
        status, _ = client.receive_any()
        client.close()
        return status

    with ThreadPoolExecutor(clients) as threads:
        return [one.result() for one in [threads.submit(work) for _ in range(clients)]]
