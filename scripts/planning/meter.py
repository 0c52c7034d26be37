"""Reads what the processes of a service use, and the difference that a piece of work makes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import psutil
from redis import Redis

from benches.service import measure_cpu
from planning.costs import Work

MICRO = 1e6  # microseconds per second


class Meter:
    """Reads the totals of one service."""

    def __init__(self, redis: Redis, web: psutil.Process, workers: Sequence[psutil.Process]) -> None:
        self.redis = redis
        self.web = web
        self.workers = workers
        self.idle = Work()  # per second; measured first

    def read(self) -> Work:
        """The totals since the start of the processes; this itself takes three commands."""
        stats: Any = self.redis.info("stats")
        cpu: Any = self.redis.info("cpu")
        return Work(
            web_us=measure_cpu([self.web]) * MICRO,
            worker_us=measure_cpu(self.workers) * MICRO,
            redis_us=(cpu["used_cpu_user"] + cpu["used_cpu_sys"]) * MICRO,
            commands=stats["total_commands_processed"],
            redis_bytes_out=stats["total_net_output_bytes"],
            redis_bytes_in=stats["total_net_input_bytes"],
        )

    def measure(self, number: float, work: Callable[[], object]) -> Work:
        """The cost of one of `number` pieces of work, without the cost of the idle service in that time."""
        before, started = self.read(), time.monotonic()
        work()
        after, seconds = self.read(), time.monotonic() - started
        return Work.add((after, 1 / number), (before, -1 / number), (self.idle, -seconds / number))
