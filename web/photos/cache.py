"""Finished answers inside the process: hits without Redis, and while Redis is away.

Bounded in bytes and in age. It never outlives a forgetting: an answer comes in only if nothing was purged since before
it was read from Redis, nothing comes in while purges are not heard, and whenever the subscription ends or is made anew
all that is there is doubtful, since a purge may have been missed: it is shown only while Redis cannot be asked.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from web.photos.request import PhotoRequest

MAX_AGE_SECONDS = 60.0
OVERHEAD_BYTES = 2000  # of an answer beside its body: headers, wish, places; measured
Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A picture with its finished headers; `body` is None where only the ETag was read, which a 304 needs."""

    etag: str  # quoted, as in the header
    headers: Headers
    headers_of_304: Headers
    body: bytes | None = field(repr=False)
    read_at: float  # by the shelf's clock, before Redis was asked
    tags: frozenset[str]  # the subjects whose purge ends it

    @property
    def weight(self) -> int:
        return len(self.body or b"") + OVERHEAD_BYTES


class ResponseCache:
    """Answers by wish, oldest first: the oldest also expire first, so they make room."""

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.max_bytes = max_bytes
        self._clock = clock
        self.bytes = 0
        self._answers: dict[PhotoRequest, Answer] = {}
        self._stale: dict[PhotoRequest, Answer] = {}  # older than all of those; no wish is in both
        self._tagged: dict[str, set[PhotoRequest]] = defaultdict(set)
        self._purges = 0
        self.hears_purges = False
        self._lock = threading.Lock()

    def get(self, photo_request: PhotoRequest) -> Answer | None:
        """The answer, if it is there and younger than a minute."""
        answer = self._answers.get(photo_request)
        if answer is None or self._clock() - answer.read_at > MAX_AGE_SECONDS:
            return None
        return answer

    def get_stale(self, photo_request: PhotoRequest) -> Answer | None:
        """The same, of what may have been purged since: for when Redis, which knows, is away."""
        answer = self._stale.get(photo_request)
        return answer if answer and self._clock() - answer.read_at <= MAX_AGE_SECONDS else None

    def drop(self, photo_request: PhotoRequest) -> None:
        """Redis has no such picture any more."""
        with self._lock:
            self._drop(photo_request)

    def get_generation(self) -> int:
        """To be asked before Redis is read, and shown when the answer comes in."""
        return self._purges

    def put(self, photo_request: PhotoRequest, answer: Answer, purges: int) -> None:
        """Keep the answer, unless something was purged since `purges` were counted."""
        with self._lock:
            if not self.hears_purges or purges != self._purges or answer.weight > self.max_bytes:
                return
            self._drop(photo_request)
            self._answers[photo_request] = answer
            for tag in answer.tags:
                self._tagged[tag].add(photo_request)
            self.bytes += answer.weight
            while self.bytes > self.max_bytes:
                self._drop(next(iter(self._stale or self._answers)))

    def purge(self, subject: str) -> None:
        """End every answer with this tag, and every one that is being read now."""
        with self._lock:
            self._purges += 1
            for photo_request in list(self._tagged.get(subject, ())):
                self._drop(photo_request)

    def open(self) -> None:
        """Purges are heard from now on; what was missed until now nobody knows."""
        with self._lock:
            self._purges += 1
            self._doubt_all()
            self.hears_purges = True

    def close(self) -> None:
        """Purges are not heard, and nothing comes in."""
        with self._lock:
            self.hears_purges = False
            self._doubt_all()

    def _doubt_all(self) -> None:
        self._stale |= self._answers
        self._answers = {}

    def _drop(self, photo_request: PhotoRequest) -> None:
        answer = self._answers.pop(photo_request, None) or self._stale.pop(photo_request, None)
        if answer is None:
            return
        self.bytes -= answer.weight
        for tag in answer.tags:
            self._tagged[tag].discard(photo_request)
            if not self._tagged[tag]:
                del self._tagged[tag]
