"""The rest of a time that was set during a test, on a machine of any speed."""

from __future__ import annotations

import time

import pytest

ROUNDING_SECONDS = 0.6  # Redis returns a TTL in whole seconds

_began = 0.0  # monotonic; the start of the current test


@pytest.fixture(autouse=True)
def _test_begins() -> None:
    global _began
    _began = time.monotonic()


class remaining:
    """Equals the rest of this many seconds that were set at some moment of this test; `rel` is the relative jitter."""

    def __init__(self, seconds: float, rel: float = 0.0) -> None:
        self.most = seconds * (1 + rel) + ROUNDING_SECONDS
        self.least = seconds * (1 - rel) - ROUNDING_SECONDS

    def __eq__(self, left: object) -> bool:
        passed = time.monotonic() - _began
        return isinstance(left, int | float) and self.least - passed <= left <= self.most

    __hash__ = None  # type: ignore[assignment]  # equality depends on the moment

    def __repr__(self) -> str:
        return f"what is left of {self.least:.1f} to {self.most:.1f} s"
