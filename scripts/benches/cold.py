"""Cold pictures: how many per second on both cores, and how long one client waits. Each takes two calls of 50 ms.

The fake Telegram, Redis and the contestants share the two cores. A new connection costs 100 ms; keep-alive connections
are open before the first round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import psutil
import requests
from redis import Redis

from benches.bare_pools import BarePools, bare_pools
from benches.clients import Client, ask_all
from benches.extent import choose
from benches.results import Part, Recorder, Row, make_row, percentile
from benches.rivals import AFTER, BEFORE, THUMBOR, THUMBOR_CURL, Rival, start_originals, start_thumbors
from benches.service import NAME, SETTINGS, Service, count_threads, measure_cpu, measure_memory, start_service
from benches.testbed import open_testbed
from benches.upstream import Upstream, start_upstream
from runner.ports import free_loopback_port

WORK = "cold throughput"
BARE = "thread pools without Celery"
ROUNDS = choose(5, 1)
CLIENTS = 32
PHOTOS = {NAME: 960, BARE: 960, BEFORE: 128, AFTER: 224, THUMBOR: 96, THUMBOR_CURL: 288}  # 2 to 4 s per round
SHARE = choose(1, 8)  # of these in a short run
FILES = 16_000  # file ids of the fake Telegram
MISS, WARM_UP = "miss, one client", 5
MISSES, MISS_ROUNDS = choose(100, 5), choose(3, 1)
UPSTREAM = "Telegram's two calls"
CPU, CORES = "CPU ms per photo", "cores in use"
ALLOWED = ((50, 10), (99, 40))  # percentile, milliseconds on top of Telegram's median
# Compared with, and the least ratio of the rates.
TARGETS = ((BARE, 0.9), (AFTER, 3.5), (THUMBOR, 8.0), (THUMBOR_CURL, 2.5))


@dataclass(frozen=True)
class Contestant:
    """A program that makes pictures."""

    name: str
    make: Callable[[Sequence[str]], list[float] | None]  # file ids → seconds that each client waited
    itself: list[psutil.Process]
    web: list[psutil.Process] = field(default_factory=list)  # a web tier, if it has one


def run(say: Callable[[str], None]) -> Part:
    """Measure cold throughput in alternating rounds, then one client's misses."""
    part, recorder = Part("cold"), Recorder()
    with open_testbed(**SETTINGS) as testbed:
        port = free_loopback_port()
        redis = testbed.start_redis(port=port)
        upstream = start_upstream(testbed, FILES)
        service = start_service(testbed, redis)
        rivals = [*start_originals(testbed), *start_thumbors(testbed, port)]
        with bare_pools(testbed, service.count_processes(), count_threads()) as pools:
            contestants = list_contestants(service, pools, rivals)
            measure(contestants, upstream, redis, recorder, say)
        part.rows = [_row(recorder, against, target) for against, target in TARGETS if recorder.has(WORK, against)]
        part.rows += measure_misses(service, upstream, recorder, say)
    part.skipped = [f"{name}: not installed" for name in PHOTOS if not recorder.has(WORK, name)]
    part.measurements = recorder.list_measurements()
    return part


def list_contestants(service: Service, pools: BarePools, rivals: list[Rival]) -> list[Contestant]:
    """This service, the bare pools and the rivals."""

    def through(rival: Rival) -> Callable[[Sequence[str]], list[float]]:
        return lambda file_ids: ask_all(rival.port, list(map(rival.path_of, file_ids)), clients=CLIENTS)

    return [
        Contestant(NAME, service.warm, service.workers, [service.web]),
        Contestant(BARE, pools.warm, [psutil.Process(one.pid) for one in pools.processes]),
        *(Contestant(rival.name, through(rival), [rival.process]) for rival in rivals),
    ]


def measure(
    contestants: list[Contestant], upstream: Upstream, redis: Redis, recorder: Recorder, say: Callable[[str], None]
) -> None:
    """Alternate the contestants' rounds, after one that opens all connections."""
    for contestant in contestants:
        contestant.make(upstream.take(2 * CLIENTS))
    for number in range(ROUNDS):
        for contestant in contestants:
            figures = _measure_round(contestant, upstream, redis)
            recorder.note(WORK, contestant.name, figures)
            say(f"round {number + 1} of {ROUNDS}: {contestant.name}, {figures['photos/s']:.0f} photos/s")


def _measure_round(contestant: Contestant, upstream: Upstream, redis: Redis) -> dict[str, float]:
    photos = PHOTOS[contestant.name] // SHARE
    file_ids = upstream.take(photos)
    calls, cpu = upstream.count_calls(), _read_cpu(contestant, upstream, redis)
    started = time.perf_counter()
    waits = contestant.make(file_ids)
    seconds = time.perf_counter() - started
    used = {kind: now - cpu[kind] for kind, now in _read_cpu(contestant, upstream, redis).items()}
    figures = {"photos/s": photos / seconds, "upstream calls per photo": (upstream.count_calls() - calls) / photos}
    if waits:
        figures |= {"p50 ms": percentile(waits, 50) * 1000, "p99 ms": percentile(waits, 99) * 1000}
    figures |= {f"{CPU}, {kind}": seconds_of_kind / photos * 1000 for kind, seconds_of_kind in used.items()}
    figures |= {CPU: sum(used.values()) / photos * 1000, CORES: sum(used.values()) / seconds}
    return figures | {"RSS MB": measure_memory([*contestant.itself, *contestant.web])}


def _read_cpu(contestant: Contestant, upstream: Upstream, redis: Redis) -> dict[str, float]:
    """CPU seconds so far, by kind of process."""
    of_redis: Any = redis.info("cpu")  # its type includes awaitables
    return {
        "itself": measure_cpu(contestant.itself),
        "Redis": sum(of_redis[f"used_cpu_{kind}"] for kind in ("user", "sys", "user_children", "sys_children")),
        "web tier and client": measure_cpu(contestant.web) + time.process_time(),
        "fake Telegram": measure_cpu(upstream.processes),
    }


def _row(recorder: Recorder, against: str, target: float) -> Row:
    def list_ratios(who: str) -> list[float]:
        return recorder.list_ratios("photos/s", (WORK, who), (WORK, against))

    note = {THUMBOR: "thumbor as it comes", THUMBOR_CURL: "with 100 connections"}.get(against, "")
    if against == AFTER:
        note = f"the same steps without Celery: {median(list_ratios(BARE)):.2f} ×"
    return make_row(WORK, against, list_ratios(NAME), target, note=note)


def measure_misses(service: Service, upstream: Upstream, recorder: Recorder, say: Callable[[str], None]) -> list[Row]:
    """Request from Telegram and from the service in turn, another picture each time."""
    client, session = Client(service.port), requests.Session()
    token = service.testbed.environment["TELEGRAM_BOT_TOKEN"]
    for number in range(MISS_ROUNDS):
        say(f"{MISSES} misses of one client, round {number + 1} of {MISS_ROUNDS}")
        waits: dict[str, list[float]] = {NAME: [], UPSTREAM: []}
        for file_id in upstream.take(WARM_UP + MISSES):
            waits[UPSTREAM].append(upstream.time_alone(session, token) * 1000)
            waits[NAME].append(client.time(service.testbed.path_of(file_id)) * 1000)
        for who, milliseconds in waits.items():
            figures = {f"p{percent} ms": percentile(milliseconds[WARM_UP:], percent) for percent, _ in ALLOWED}
            recorder.note(MISS, who, figures)
    client.close()
    session.close()
    base = recorder.median(MISS, UPSTREAM, "p50 ms")
    return [
        make_row(
            MISS,
            f"on top of {UPSTREAM}, p{percent}",
            [took - base for took in recorder.list_rounds(MISS, NAME, f"p{percent} ms")],
            more,
            is_floor=False,
            unit="ms",
        )
        for percent, more in ALLOWED
    ]
