"""What the allocator does with freed memory."""

from __future__ import annotations

import ctypes
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

from warmer.errors import Postponed

MMAP_THRESHOLD = -3  # glibc's malloc.h, M_MMAP_THRESHOLD
LARGE_BYTES = 262_144


@cache
def return_freed_memory() -> None:
    """From now on, large blocks go back to the system when they are freed; without effect where there is no glibc.

    By itself glibc learns to keep them: 32 threads that decoded held 600 MB for good.
    """
    with suppress(OSError, AttributeError, TypeError):  # no such function, or no handle on the process: Windows
        ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, LARGE_BYTES)


class ByteSemaphore:
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
