"""Rendered lists of the newest partners, in the memory of the process for a second at most.

What the listener hears ends them: a purge or an acknowledgement ends all, "done" those that show its subject. While it
hears nothing, none is remembered. A registration waits for the acknowledgements (web/api/recent.py,
`wait_until_listed`), so its client gets no list from before it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from warmer.keys import Subject
from warmer.state.remembered import LIST_SECONDS
from web.photos.cache import Headers

LISTS_MAX = 8  # of different lengths; one of 100 partners takes 110 kB, and each compressed answer 30
ANSWERS_MAX = 16  # of a list
Variant = tuple[str | None, str | None]  # Origin and Accept-Encoding, as the client sent them


class CachedReply(NamedTuple):
    """The answer of Flask's route, with the headers of one request."""

    headers: Headers
    body: bytes


@dataclass(slots=True)
class PartnerList:
    """A list as JSON."""

    body: bytes = field(repr=False)
    warming: list[Subject]  # that are not ready, in the order of the list
    subjects: frozenset[str]  # whose "done" changes the list
    answers: dict[Variant, CachedReply] = field(default_factory=dict, repr=False)

    def keep_answer(self, variant: Variant, answer: CachedReply) -> None:
        """Remember this answer for other clients that send the same headers."""
        if len(self.answers) < ANSWERS_MAX:
            self.answers[variant] = answer


class ListCache:
    """Lists by their length, the oldest first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lists: dict[int, tuple[PartnerList, float]] = {}  # with the time before it was read
        self._generation = 0
        self._lock = threading.Lock()
        self.hears_purges = False

    def get(self, limit: int) -> PartnerList | None:
        """Return the list of this length. Returns None unless it is remembered."""
        found, read_at = self._lists.get(limit, (None, 0.0))
        return found if found is not None and self._clock() - read_at <= LIST_SECONDS else None

    def get_generation(self) -> int:
        """Read this and the clock before querying Redis, and pass both to put()."""
        return self._generation

    def put(self, limit: int, found: PartnerList, read_at: float, generation: int) -> None:
        """Remember the list, unless something that may have changed it was heard since `generation` was read."""
        with self._lock:
            if not self.hears_purges or generation != self._generation:
                return
            self._lists.pop(limit, None)
            self._lists[limit] = found, read_at
            while len(self._lists) > LISTS_MAX:
                del self._lists[next(iter(self._lists))]

    def end_all(self) -> None:
        """Forget every list, and discard those that are being read now."""
        with self._lock:
            self._generation += 1
            self._lists.clear()

    def end_done(self, message: str) -> None:
        """Forget every list that shows the subject of a "done" message, and discard those that are being read now."""
        subject = message.partition(" ")[0]
        with self._lock:
            self._generation += 1
            self._lists = {limit: kept for limit, kept in self._lists.items() if subject not in kept[0].subjects}

    def open(self) -> None:
        """The process hears purges from now on. It may have missed some."""
        self.end_all()
        self.hears_purges = True

    def close(self) -> None:
        """The process hears no purges: remember nothing."""
        self.hears_purges = False
        self.end_all()
