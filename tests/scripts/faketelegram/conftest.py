"""A fake that runs, and its pauses."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

import pytest

from faketelegram import FakeTelegram
from runner.ports import free_loopback_port


@pytest.fixture
def fake() -> Iterator[FakeTelegram]:
    with FakeTelegram(port=free_loopback_port()) as running:  # one that a test can start again
        running.world.add_user(42, "Ann", last_name="Lee", username="annlee")
        yield running


@pytest.fixture
def pauses(fake: FakeTelegram) -> list[float]:
    """Every pause that the fake makes, in seconds; none of them takes time."""
    seen: list[float] = []

    def wait(_: Event, seconds: float) -> bool:
        seen.append(seconds)
        return False

    fake.wait = wait
    return seen
