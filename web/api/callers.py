"""Remembers verified init data for a moment: a Mini App sends the same with every request."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Role = Literal["user", "server"]
CLOCK_SKEW_SECONDS = 60  # by which our clock may be behind Telegram's
VERIFIED_SECONDS = 60.0
VERIFIED_MAX = 4096  # about 600 bytes each


@dataclass(frozen=True, slots=True)
class Caller:
    """A user, who has an id and a name, or a server."""

    role: Role
    id: int = 0
    name: str = ""


class _Verified(NamedTuple):
    caller: Caller
    signed_at: int  # by Telegram, Unix time
    until: float  # by the clock


class VerifiedCallers:
    """Callers by the digest of their init data, which itself is not kept. The oldest make room."""

    def __init__(self, max_age: float, clock: Callable[[], float], wall_clock: Callable[[], float]) -> None:
        """`max_age` of init data, in seconds. `wall_clock`: Unix time, in seconds."""
        self._max_age = max_age
        self._clock, self._wall_clock = clock, wall_clock
        self._verified: dict[bytes, _Verified] = {}  # in the order of their end
        self._lock = threading.Lock()

    def is_current(self, signed_at: int) -> bool:
        """Returns True if init data of this time is valid now."""
        return -CLOCK_SKEW_SECONDS <= self._wall_clock() - signed_at <= self._max_age

    def get(self, init_data: str) -> Caller | None:
        """Return the caller. Returns None unless this init data was verified within a minute and is still valid."""
        found = self._verified.get(_digest(init_data))
        if found is None or self._clock() > found.until or not self.is_current(found.signed_at):
            return None
        return found.caller

    def put(self, init_data: str, caller: Caller, signed_at: int) -> None:
        """Remember valid init data."""
        digest, now = _digest(init_data), self._clock()
        with self._lock:
            self._verified.pop(digest, None)
            self._verified[digest] = _Verified(caller, signed_at, now + VERIFIED_SECONDS)
            while True:
                oldest = next(iter(self._verified))
                if len(self._verified) <= VERIFIED_MAX and self._verified[oldest].until >= now:
                    return
                del self._verified[oldest]


def _digest(init_data: str) -> bytes:
    return hashlib.sha256(init_data.encode("utf-8", "surrogatepass")).digest()
