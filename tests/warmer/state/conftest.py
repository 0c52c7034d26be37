"""A store of pictures and a directory of people for a test, with leases and renderings."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from warmer.keys import Keys
from warmer.photo import PhotoSize, Rendering, Variant
from warmer.state.lease import Lease, LeaseManager
from warmer.state.people import People
from warmer.state.photos import PhotoStore

FID, OTHER = "AgACAgIAAxkBAAIBcGab", "AgACAgIAAxkBAAIBcGac"
SIZES, FORMATS = (80, 160, 320), ("webp", "jpeg")
TTL, CHECK = 10_000, 21_600  # seconds
PREVIEW = "data:image/webp;base64,AAAA"
DAY = 86_400


@pytest.fixture
def store(redis: Redis, keys: Keys) -> PhotoStore:
    return PhotoStore(redis, keys, SIZES, FORMATS, TTL)


@pytest.fixture
def leases(redis: Redis, keys: Keys) -> LeaseManager:
    return LeaseManager(redis, keys)


@pytest.fixture
def lease(leases: LeaseManager) -> Lease:
    return leases.take(FID, "warm")


def render(*sizes: int, fmt: str = "webp", preview: str = PREVIEW) -> Rendering:
    return Rendering(tuple(Variant(size, fmt, b"%d" % size) for size in sizes or SIZES), preview, "AQADunique")


def list_keys(redis: Redis) -> set[str]:
    """List all keys except the figures, which threads of other tests' apps may write at any time."""
    return {key.decode() for key in redis.scan_iter("*") if b":stats:" not in key}


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
