"""Request ids: the client's own, or the next of this process."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from secrets import token_hex

from warmer.request_id import WELL_FORMED


class RequestIds:
    """Makes ids of a random prefix per process and a number: cheap, since every hit needs one."""

    def __init__(self, draw: Callable[[], str] = lambda: token_hex(4)) -> None:
        self._draw = draw
        self._prefix = ""
        self._numbers = count(1)

    def choose(self, given: str | None) -> str:
        """The client's `X-Request-ID` if it is well-formed, else a new id."""
        if given is not None and WELL_FORMED.fullmatch(given):
            return given
        return f"{self._prefix or self._draw_prefix()}{next(self._numbers)}"

    def _draw_prefix(self) -> str:
        """Draw with the first request, after the fork: processes with the same prefix would share ids."""
        self._prefix = f"{self._draw()}-"
        return self._prefix
