"""An ordinary client beside the hostile ones: it sends requests all the time and records every answer."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType

import requests

PATIENCE = 60.0  # seconds


class Bystander:
    """Requests the paths in turn, each on a new connection, until the block ends."""

    def __init__(self, url: str, paths: Sequence[str], every: float = 0.1) -> None:
        self.url, self.paths, self.every = url, paths, every
        self.answers: list[int | str] = []  # a status, or the name of an error
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
            path = self.paths[len(self.answers) % len(self.paths)]
            try:
                self.answers.append(
                    requests.get(self.url + path, headers={"Accept": "image/webp"}, timeout=PATIENCE).status_code
                )
            except requests.RequestException as error:
                self.answers.append(type(error).__name__)
