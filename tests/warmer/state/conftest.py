"""A store of pictures and a directory of people for a test, with leases and renderings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from tests.support.clock import Clock
from warmer.deadline import JobContext
from warmer.errors import Postponed
from warmer.keys import Keys, Lane, Subject
from warmer.photo import PhotoSize, Rendering, Variant
from warmer.state.budget import Budget
from warmer.state.lease import Lease, LeaseManager
from warmer.state.people import People
from warmer.state.photos import PhotoStore

FID, OTHER = Subject("AgACAgIAAxkBAAIBcGab"), Subject("AgACAgIAAxkBAAIBcGac")
SIZES, FORMATS = (80, 160, 320), ("webp", "jpeg")
TTL, CHECK = 10_000, 21_600  # seconds
PREVIEW = "data:image/webp;base64,AAAA"
DAY = 86_400
KIND = "UpstreamFailed"  # of failures


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


LANES: tuple[Lane, ...] = ("hot", "warm", "rewarm")


Open = Callable[[float], Budget]


@pytest.fixture
def at(redis: Redis, keys: Keys, clock: Clock) -> Open:
    """Returns the budget at a rate."""
    return lambda rate: Budget(redis, keys, rate, clock=clock, sleep=clock.sleep)


def impatient(lane: Lane = "hot") -> JobContext:
    return JobContext.start(lane, 0)


def is_granted(budget: Budget, lane: Lane = "hot") -> bool:
    try:
        budget.take(impatient(lane))
    except Postponed:
        return False
    return True


def count_granted(budget: Budget, lane: Lane = "hot") -> int:
    count = 0
    while is_granted(budget, lane):
        count += 1
        assert count < 1000, "the budget has no end"
    return count
