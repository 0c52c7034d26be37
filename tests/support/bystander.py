"""An honest client beside the odd ones: it asks again and again, and remembers how it went."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import TracebackType

import requests


class Bystander:
    """Asks for the paths in turn, each time on a new connection, until it is left."""

    def __init__(self, url: str, paths: Sequence[str], every: float = 0.1) -> None:
        self.url, self.paths, self.every = url, paths, every
        self.seconds: list[float] = []  # of each try
        self.statuses: set[int | str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask_on)

    def __enter__(self) -> Bystander:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _ask_on(self) -> None:
        while not self._stop.wait(self.every):
            started = time.monotonic()
            try:
                path = self.paths[len(self.seconds) % len(self.paths)]
                self.statuses.add(requests.get(self.url + path, timeout=5).status_code)
            except requests.RequestException as error:
                self.statuses.add(type(error).__name__)
            self.seconds.append(time.monotonic() - started)
