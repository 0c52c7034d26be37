"""Which id a request has: the client's own, or the next of this process."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from secrets import token_hex

from warmer.request_id import WELL_FORMED


class RequestIds:
    """Cheap, since every hit needs one: a random beginning for the process, and a number."""

    def __init__(self, draw: Callable[[], str] = lambda: token_hex(4)) -> None:
        self._draw = draw
        self._prefix = ""
        self._numbers = count(1)

    def choose(self, given: str | None) -> str:
        """What the client sent, if it is well-formed (`X-Request-ID`); else a new one."""
        if given is not None and WELL_FORMED.fullmatch(given):
            return given
        return f"{self._prefix or self._begin()}{next(self._numbers)}"

    def _begin(self) -> str:
        """With the first request, after the fork: processes that share a beginning would share ids."""
        self._prefix = f"{self._draw()}-"
        return self._prefix
