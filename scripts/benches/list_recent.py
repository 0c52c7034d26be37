"""The list of the newest partners, everything warm: time, round trips to Redis, and published messages (none).

As a program, it prints the round trips of a GET: python -m benches.list_recent "/api/partner/recent?limit=20"
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from redis import Redis
from redis.connection import AbstractConnection

from benches.phone import App, Phone
from benches.results import Recorder, Row, percentile
from benches.service import NAME, Service
from benches.testbed import PATIENCE, ROOT
from web import create_app

WORK = "the list, everything warm"
TIMES = 300


def measure_list(app: App, service: Service, recorder: Recorder, say: Callable[[str], None]) -> list[Row]:
    """Read the list with one client; its targets."""
    say(f"open-app: the list {TIMES} times")
    phone = Phone(app)
    phone.open_app()
    published = _count_published(service.redis)
    milliseconds = [phone.read_list() for _ in range(TIMES)]
    published = _count_published(service.redis) - published
    trips = _count_trips(service, app.list_path)
    phone.close()
    p50 = percentile(milliseconds, 50)
    recorder.note(WORK, NAME, {"p50 ms": p50, "p99 ms": percentile(milliseconds, 99)})
    recorder.note(WORK, NAME, {"Redis round trips": trips, "published messages": published})
    return [
        Row(WORK, "p50", p50, 3, is_floor=False, unit="ms"),
        Row(WORK, "Redis round trips", trips, 3, is_floor=False, unit=""),
        Row(WORK, "published messages", published, 0, is_floor=False, unit=""),
    ]


def _count_trips(service: Service, path: str) -> int:
    """Round trips of a GET, counted where the client writes, in another process: the settings stay there."""
    command = [sys.executable, "-m", "benches.list_recent", path]
    environment = service.testbed.environment | {"PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, timeout=PATIENCE, check=True)
    return int(done.stdout)


def _count_published(redis: Redis) -> int:
    """Messages published since the server started: kombu pushes them to lists."""
    commands: Any = redis.info("commandstats")
    return int(commands.get("cmdstat_lpush", {}).get("calls", 0))


def count_in_process(path: str) -> int:
    """Round trips of the second of two requests in this process: the first one opens the connections.

    A pipeline is written at once, so it counts as one round trip. Needs this service's environment.
    """
    client = create_app().test_client()
    headers = {"Authorization": f"Bearer {os.environ['API_KEYS']}"}
    client.get(path, headers=headers)
    write = AbstractConnection.send_packed_command
    with patch.object(AbstractConnection, "send_packed_command", autospec=True, side_effect=write) as written:
        if client.get(path, headers=headers).status_code != 200:
            raise ValueError(f"{path} is not answered 200")
    return written.call_count


if __name__ == "__main__":
    print(count_in_process(sys.argv[1]))
