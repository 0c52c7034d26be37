"""Room for so many bytes at a time, shared by the threads of a process."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from warmer.errors import Postponed


class Room:
    """Whoever needs some of it waits in line, so that nobody waits for ever."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._free = size
        self._line: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def take(self, amount: int, patience_seconds: float) -> Iterator[None]:
        """Hold that much of it in this block. Raises Postponed where its turn does not come in time."""
        self._enter(amount, patience_seconds)
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()

    def _enter(self, amount: int, patience_seconds: float) -> None:
        me = object()
        with self._changed:
            self._line.append(me)
            try:
                if not self._changed.wait_for(lambda: self._line[0] is me and amount <= self._free, patience_seconds):
                    raise Postponed("too many pictures are being decoded", retry_after=patience_seconds)
                self._free -= amount
            finally:
                self._line.remove(me)
                self._changed.notify_all()
