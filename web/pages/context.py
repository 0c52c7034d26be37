"""The parts that the pages for people use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from redis import Redis

from warmer.broker.publish import Publisher
from warmer.keys import Keys
from warmer.observe.checks import HealthChecks
from warmer.settings import Settings
from warmer.state.budget import Budget
from warmer.state.outbox import Outbox
from warmer.state.people import People
from warmer.state.schedule import Schedule


@dataclass(frozen=True, slots=True)
class PageContext:
    """The parts of the pages."""

    settings: Settings
    redis: Redis
    keys: Keys
    people: People
    publisher: Publisher
    schedule: Schedule
    budget: Budget
    health: HealthChecks
    outbox: Outbox | None  # None without a webhook
    wall_clock: Callable[[], float]  # Unix time, in seconds
