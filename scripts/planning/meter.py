"""Reads what the processes of a service use, and the difference that a piece of work makes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import psutil
from redis import Redis

from benches.service import measure_cpu
from planning.costs import Work

MICRO = 1e6  # microseconds per second


@dataclass(frozen=True)
class Reading:
    """Totals since the start of the processes; `at` is of `time.monotonic`."""

    at: float
    used: Work


class Meter:
    """Reads the totals of one service."""

    def __init__(self, redis: Redis, web: psutil.Process, workers: Sequence[psutil.Process]) -> None:
        self.redis = redis
        self.web = web
        self.workers = workers
        self.idle = Work()  # per second; measured first

    def read(self) -> Reading:
        """The current totals; this itself takes three commands."""
        stats: Any = self.redis.info("stats")
        cpu: Any = self.redis.info("cpu")
        used = Work(
            web_us=measure_cpu([self.web]) * MICRO,
            worker_us=measure_cpu(self.workers) * MICRO,
            redis_us=(cpu["used_cpu_user"] + cpu["used_cpu_sys"]) * MICRO,
            commands=stats["total_commands_processed"],
            redis_bytes_out=stats["total_net_output_bytes"],
            redis_bytes_in=stats["total_net_input_bytes"],
        )
        return Reading(time.monotonic(), used)

    def measure(self, number: float, work: Callable[[], object]) -> Work:
        """The cost of one of `number` pieces of work, without the cost of the idle service in that time."""
        before = self.read()
        work()
        after = self.read()
        seconds = after.at - before.at
        return Work(**{
            field.name: max(0.0, _difference(before, after, field.name) - seconds * getattr(self.idle, field.name))
            / number
            for field in fields(Work)
        })  # fmt: skip


def _difference(before: Reading, after: Reading, name: str) -> float:
    return float(getattr(after.used, name) - getattr(before.used, name))
