"""Semaphores that bound the memory of decoding, and memory that goes back to the system."""

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
TIMEOUT_SECONDS = 3.0
# A task's 20 s, this, the wait for other decodes (TURN_SECONDS in `warmer.wiring`) and a decode's 5 s fit into the
# 30 s of the lease.


@cache
def return_freed_memory() -> None:
    """Make large blocks go back to the system when they are freed; no effect without glibc.

    By default glibc learns to keep them: 32 threads that had decoded pictures kept 600 MB.
    """
    with suppress(OSError, AttributeError, TypeError):  # no such function, or no handle on the process: Windows
        ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, LARGE_BYTES)


class FairSemaphore:
    """A number of bytes or places that threads share.

    First come, first served, so that a large request is not starved.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._free = size
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def acquire(self, amount: int, timeout_seconds: float | None = None) -> Iterator[None]:
        """Hold this many in the block. Raises Postponed if they are not free in time."""
        self._acquire(amount, TIMEOUT_SECONDS if timeout_seconds is None else timeout_seconds)
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()

    def _acquire(self, amount: int, timeout_seconds: float) -> None:
        me = object()
        with self._changed:
            self._waiting.append(me)
            try:
                if not self._changed.wait_for(lambda: self._waiting[0] is me and amount <= self._free, timeout_seconds):
                    raise Postponed("too many pictures are being decoded", retry_after=timeout_seconds)
                self._free -= amount
            finally:
                self._waiting.remove(me)
                self._changed.notify_all()
