"""The list alone, with everything warm: time, round trips to Redis, and messages, which it must not publish."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

from redis import Redis

from benches.book import Book, percentile
from benches.phone import App, Phone
from benches.rows import Row
from benches.service import NAME, Service
from benches.stage import PATIENCE, ROOT

WORK = "the list, everything warm"
TIMES = 300


def measure_list(app: App, service: Service, book: Book, say: Callable[[str], None]) -> list[Row]:
    """Read the list with one client; the rows that it is held to."""
    say(f"open-app: the list {TIMES} times")
    phone = Phone(app)
    phone.open_app()
    published = _count_published(service.redis)
    milliseconds = [phone.read_list() for _ in range(TIMES)]
    published = _count_published(service.redis) - published
    trips = _count_trips(service, app.list_path)
    phone.close()
    p50 = percentile(milliseconds, 50)
    book.note(WORK, NAME, {"p50 ms": p50, "p99 ms": percentile(milliseconds, 99)})
    book.note(WORK, NAME, {"Redis round trips": trips, "published messages": published})
    return [
        Row(WORK, "p50", p50, 3, is_floor=False, unit="ms"),
        Row(WORK, "Redis round trips", trips, 3, is_floor=False, unit=""),
        Row(WORK, "published messages", published, 0, is_floor=False, unit=""),
    ]


def _count_trips(service: Service, path: str) -> int:
    command = [sys.executable, "-m", "benches.round_trips", path]
    environment = service.stage.environment | {"PYTHONPATH": str(ROOT / "scripts")}
    told = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, timeout=PATIENCE, check=True)
    return int(told.stdout)


def _count_published(redis: Redis) -> int:
    """Messages put into queues since the server started: kombu pushes them to lists."""
    commands: Any = redis.info("commandstats")
    return int(commands.get("cmdstat_lpush", {}).get("calls", 0))
