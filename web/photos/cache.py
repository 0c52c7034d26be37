"""Finished answers in the memory of the process: hits without Redis, also while Redis is away.

Bounded in bytes and in age. No answer survives a purge: the cache takes an answer only if no purge came since before it
was read from Redis, and takes none while the process hears no purges. When the subscription ends or is renewed, all
answers become stale, since a purge may have been missed: they are served only while Redis is away.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from web.photos.request import PhotoRequest

MAX_AGE_SECONDS = 60.0
OVERHEAD_BYTES = 3000  # of an answer without its body: headers twice, request, dictionary entries; measured
Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A picture with its finished headers. `body` is None if only the ETag was read, which is enough for a 304."""

    etag: str  # quoted, as in the header
    headers: Headers
    headers_of_304: Headers
    body: bytes | None = field(repr=False)
    read_at: float  # by the cache's clock, before Redis was read
    tags: frozenset[str]  # the subjects whose purge removes it
    lines: bytes = field(init=False, repr=False)  # the headers as they are sent
    lines_of_304: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lines", to_lines(self.headers))  # the way to set a field of a frozen class
        object.__setattr__(self, "lines_of_304", to_lines(self.headers_of_304))

    @property
    def weight(self) -> int:
        return len(self.body or b"") + OVERHEAD_BYTES


def to_lines(headers: Headers) -> bytes:
    """The headers as they are sent."""
    return "".join([f"{name}: {value}\r\n" for name, value in headers]).encode("latin-1")


class ResponseCache:
    """Answers by request, oldest first. The oldest also expire first, so they make room."""

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.max_bytes = max_bytes
        self._clock = clock
        self.bytes = 0
        self._answers: dict[PhotoRequest, Answer] = {}
        self._stale: dict[PhotoRequest, Answer] = {}  # older than all of those; no request is in both
        self._tagged: dict[str, set[PhotoRequest]] = defaultdict(set)
        self._generation = 0
        self.hears_purges = False
        self._lock = threading.Lock()

    def get(self, photo_request: PhotoRequest) -> Answer | None:
        """Returns the answer, or None if there is none that is younger than a minute."""
        answer = self._answers.get(photo_request)
        if answer is None or self._clock() - answer.read_at > MAX_AGE_SECONDS:
            return None
        return answer

    def get_stale(self, photo_request: PhotoRequest) -> Answer | None:
        """Returns an answer younger than a minute that may have been purged since, or None if there is none.

        Serve it only while Redis is away.
        """
        answer = self._stale.get(photo_request)
        return answer if answer and self._clock() - answer.read_at <= MAX_AGE_SECONDS else None

    def drop(self, photo_request: PhotoRequest) -> None:
        """Remove the answer: Redis no longer has the picture."""
        with self._lock:
            self._drop(photo_request)

    def get_generation(self) -> int:
        """Read this before querying Redis and pass it to put(), which discards an answer older than a purge."""
        return self._generation

    def put(self, photo_request: PhotoRequest, answer: Answer, generation: int) -> None:
        """Keep the answer, unless a purge came since `generation` was read."""
        with self._lock:
            if not self.hears_purges or generation != self._generation or answer.weight > self.max_bytes:
                return
            self._drop(photo_request)
            self._answers[photo_request] = answer
            for tag in answer.tags:
                self._tagged[tag].add(photo_request)
            self.bytes += answer.weight
            while self.bytes > self.max_bytes:
                self._drop(next(iter(self._stale or self._answers)))

    def purge(self, subject: str) -> None:
        """Remove every answer with this tag, and discard those that are being read now."""
        with self._lock:
            self._generation += 1
            for photo_request in list(self._tagged.get(subject, ())):
                self._drop(photo_request)

    def open(self) -> None:
        """Take answers from now on: the process hears purges. It may have missed some, so all answers become stale."""
        with self._lock:
            self._generation += 1
            self._make_all_stale()
            self.hears_purges = True

    def close(self) -> None:
        """Take no more answers, and let all become stale: the process hears no purges."""
        with self._lock:
            self.hears_purges = False
            self._make_all_stale()

    def _make_all_stale(self) -> None:
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
