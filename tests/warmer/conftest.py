"""A picture to warm, and what Redis holds."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from faketelegram import FakeTelegram
from tests.conftest import make_picture
from warmer.state.schedule import Schedule
from warmer.wiring import WorkerContext


@pytest.fixture
def file_id(telegram: FakeTelegram) -> str:
    """A new picture in the fake Telegram."""
    return telegram.world.add_file(make_picture(200, 100))


def list_keys(redis: Redis) -> set[str]:
    """List all keys except the figures, which a thread writes at any time."""
    return {key.decode() for key in redis.scan_iter("*") if b":stats:" not in key}


def list_next_runs(owner: WorkerContext | Schedule) -> dict[str, float]:
    """Returns the seconds until the next run of each scheduled subject."""
    seconds, micros = owner.redis.time()
    runs: Any = owner.redis.zrange(owner.keys.schedule, 0, -1, withscores=True)
    return {subject.decode(): at - seconds - micros / 1e6 for subject, at in runs}
