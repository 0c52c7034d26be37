"""A storm of registrations: a backend puts thousands of new people, each with a picture, on sixteen connections.

The service runs as the Procfile starts it, with its own budget of Telegram calls, so that the pictures come later.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection
from typing import Any

from redis import Redis

from benches.clients import TIMEOUT
from benches.extent import choose
from benches.results import Part, Recorder, percentile
from benches.service import NAME, SETTINGS, measure_memory, start_service
from benches.testbed import open_testbed
from benches.upstream import start_upstream
from warmer.settings import Settings

PUTS, CONNECTIONS = choose(20_000, 300), 16
ROUNDS = choose(3, 1)  # each takes most of a minute
WORK = f"{PUTS:,} registrations on {CONNECTIONS} connections"
FIRST_ID = 8_000_000_000
TELEGRAM_RATE = str(Settings.model_fields["telegram_rate"].default)
CREATED = 201


def run(say: Callable[[str], None]) -> Part:
    """No target: the issue is what it costs."""
    part, recorder = Part("storm"), Recorder()
    for number in range(ROUNDS):
        with open_testbed(**SETTINGS, TELEGRAM_RATE=TELEGRAM_RATE) as testbed:
            redis = testbed.start_redis()
            upstream = start_upstream(testbed, PUTS)
            service = start_service(testbed, redis)
            bodies = deque(
                (FIRST_ID + number, json.dumps({"name": f"Partner {number}", "photo_file_id": file_id}))
                for number, file_id in enumerate(upstream.take(PUTS))
            )
            say(f"{WORK}, round {number + 1} of {ROUNDS}…")
            before, started = _used_memory(redis), time.perf_counter()
            waits = put_all(service.port, testbed.headers, bodies)
            seconds = time.perf_counter() - started
            figures = {"PUTs/s": PUTS / seconds, **{f"p{n} ms": percentile(waits, n) * 1000 for n in (50, 99)}}
            figures["highest ms"] = max(waits) * 1000
            figures["bytes of Redis each"] = (_used_memory(redis) - before) / PUTS
            figures["RSS MB"] = measure_memory([service.web, *service.workers])
            recorder.note(WORK, NAME, figures)
    part.measurements = recorder.list_measurements()
    return part


def put_all(port: int, headers: Mapping[str, str], bodies: deque[tuple[int, str]]) -> list[float]:
    """Put all people; the seconds of each answer. Raises ValueError unless all are new."""

    def work() -> list[float]:
        connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        own, seconds = {**headers, "Content-Type": "application/json"}, []
        with suppress(IndexError):  # all are put
            while True:
                user_id, body = bodies.popleft()
                started = time.perf_counter()
                connection.request("PUT", f"/api/partner/{user_id}", body, own)
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != CREATED:
                    raise ValueError(f"PUT answered {answer.status}: {text[:200]!r}")
                seconds.append(time.perf_counter() - started)
        connection.close()
        return seconds

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        shares = [threads.submit(work) for _ in range(CONNECTIONS)]
        return [one for share in shares for one in share.result()]


def _used_memory(redis: Redis) -> int:
    memory: Any = redis.info("memory")  # its type includes awaitables
    return int(memory["used_memory"])
