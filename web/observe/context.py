"""The parts that metrics and logs use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from redis import Redis

from warmer.broker.publish import Publisher
from warmer.keys import Keys
from warmer.observe.checks import HealthChecks
from warmer.state.budget import Budget
from warmer.state.outbox import Outbox
from warmer.state.schedule import Schedule
from warmer.state.stats import MinuteStats
from web.observe.access_log import AccessLog


@dataclass(frozen=True, slots=True)
class ObserveContext:
    """The parts of metrics and logs."""

    redis: Redis
    keys: Keys
    publisher: Publisher
    schedule: Schedule
    budget: Budget
    stats: MinuteStats
    access_log: AccessLog
    health: HealthChecks
    outbox: Outbox | None  # None without a webhook
    clock: Callable[[], float]  # seconds, from no instant in particular
    wall_clock: Callable[[], float]  # Unix time, in seconds
