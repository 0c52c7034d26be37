"""A directory of people for a test."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from warmer.keys import Keys
from warmer.photo import PhotoSize
from warmer.state.people import People

TTL, CHECK = 1000, 21_600  # seconds
A, B, C = (f"AgACAgIAAxkBAAIBcGa{letter}" for letter in "ABC")


@pytest.fixture
def people(redis: Redis, keys: Keys) -> People:
    return People(redis, keys, keep=2, ttl_seconds=TTL, check_seconds=CHECK)


def found(file_id: str) -> PhotoSize:
    """Returns a picture as a lookup finds it."""
    return PhotoSize(file_id, f"unique-{file_id}", 320)


def showing(people: People, file_id: str) -> set[int]:
    """Returns the ids registered as showing the picture."""
    members: Any = people.redis.smembers(people.keys.people(file_id))
    return {int(member) for member in members}
