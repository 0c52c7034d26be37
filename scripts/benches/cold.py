"""Cold pictures: how many per second on both cores, and how long one client waits. Each takes two calls of 50 ms.

The fake Telegram, Redis and the contestants share the two cores. A new connection costs 100 ms; keep-alive connections
are open before the first round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psutil
import requests

from benches.bare_pools import BarePools, bare_pools
from benches.clients import Client, ask_all
from benches.results import Part, Recorder, Row, percentile
from benches.rivals import AFTER, BEFORE, THUMBOR, THUMBOR_CURL, Rival, start_originals, start_thumbors
from benches.service import NAME, SETTINGS, Service, count_threads, measure_memory, start_service
from benches.testbed import open_testbed
from benches.upstream import Upstream, start_upstream
from runner.ports import free_loopback_port

WORK = "cold throughput"
BARE = "thread pools without Celery"
ROUNDS = 3
CLIENTS = 32
PHOTOS = {NAME: 960, BARE: 960, BEFORE: 128, AFTER: 224, THUMBOR: 96, THUMBOR_CURL: 288}  # 2 to 4 s per round
FILES = 10_000  # file ids of the fake Telegram
MISS, MISSES, WARM_UP = "miss, one client", 100, 5
UPSTREAM = "Telegram's two calls"
ALLOWED = ((50, 15), (99, 40))  # percentile, milliseconds on top of Telegram's median
TARGETS = ((AFTER, 3.0), (THUMBOR, 3.0), (BARE, 0.85))  # compared with, and the least ratio of the rates


@dataclass(frozen=True)
class Contestant:
    """A program that makes pictures."""

    name: str
    make: Callable[[Sequence[str]], list[float] | None]  # file ids → seconds that each client waited
    processes: list[psutil.Process] = field(default_factory=list)


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
            measure(contestants, upstream, recorder, say)
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
        Contestant(NAME, service.warm, [service.web, *service.workers]),
        Contestant(BARE, pools.warm),
        *(Contestant(rival.name, through(rival), [rival.process]) for rival in rivals),
    ]


def measure(contestants: list[Contestant], upstream: Upstream, recorder: Recorder, say: Callable[[str], None]) -> None:
    """Alternate the contestants' rounds, after one that opens all connections."""
    for contestant in contestants:
        contestant.make(upstream.take(2 * CLIENTS))
    for number in range(ROUNDS):
        for contestant in contestants:
            figures = _measure_round(contestant, upstream)
            recorder.note(WORK, contestant.name, figures)
            say(f"cold, round {number + 1} of {ROUNDS}: {contestant.name}, {figures['photos/s']:.0f} photos/s")
    for contestant in contestants:
        if contestant.processes:
            recorder.note(WORK, contestant.name, {"RSS MB": measure_memory(contestant.processes)})


def _measure_round(contestant: Contestant, upstream: Upstream) -> dict[str, float]:
    photos = PHOTOS[contestant.name]
    file_ids = upstream.take(photos)
    calls = upstream.count_calls()
    started = time.perf_counter()
    waits = contestant.make(file_ids)
    seconds = time.perf_counter() - started
    figures = {"photos/s": photos / seconds, "upstream calls per photo": (upstream.count_calls() - calls) / photos}
    if waits:
        figures |= {"p50 ms": percentile(waits, 50) * 1000, "p99 ms": percentile(waits, 99) * 1000}
    return figures


def _row(recorder: Recorder, against: str, target: float) -> Row:
    def times_as_fast(who: str) -> float:
        return recorder.median(WORK, NAME, "photos/s") / recorder.median(WORK, who, "photos/s")

    note = ""
    if against == AFTER:
        pools = recorder.median(WORK, BARE, "photos/s") / recorder.median(WORK, AFTER, "photos/s")
        note = f"the same steps without Celery: {pools:.2f} ×"
    if against == BARE:
        note = "the cost of Celery: delivery, tracing, publishing"
    if against == THUMBOR and recorder.has(WORK, THUMBOR_CURL):
        note = f"thumbor's default; {times_as_fast(THUMBOR_CURL):.2f} × {THUMBOR_CURL} and 100 connections"
    return Row(WORK, against, times_as_fast(against), target, note=note)


def measure_misses(service: Service, upstream: Upstream, recorder: Recorder, say: Callable[[str], None]) -> list[Row]:
    """Request from Telegram and from the service in turn, another picture each time."""
    say(f"cold: {MISSES} misses of one client")
    client, session = Client(service.port), requests.Session()
    token = service.testbed.environment["TELEGRAM_BOT_TOKEN"]
    ours, theirs = [], []
    for file_id, other in zip(upstream.take(WARM_UP + MISSES), upstream.take(WARM_UP + MISSES), strict=True):
        theirs.append(_time_upstream(session, upstream.url, token, other) * 1000)
        ours.append(client.time(service.testbed.path_of(file_id)) * 1000)
    client.close()
    session.close()
    waits = {NAME: ours[WARM_UP:], UPSTREAM: theirs[WARM_UP:]}
    for who, milliseconds in waits.items():
        recorder.note(MISS, who, {f"p{percent} ms": percentile(milliseconds, percent) for percent, _ in ALLOWED})
    base = recorder.median(MISS, UPSTREAM, "p50 ms")
    rows = []
    for percent, more in ALLOWED:
        measured = recorder.median(MISS, NAME, f"p{percent} ms")
        against = f"{UPSTREAM} + {more} ms, p{percent}"
        rows.append(Row(MISS, against, measured, base + more, is_floor=False, unit="ms"))
    return rows


def _time_upstream(session: requests.Session, url: str, token: str, file_id: str) -> float:
    """The seconds of getFile and download on a keep-alive connection."""
    started = time.perf_counter()
    answer = session.get(f"{url}/bot{token}/getFile", params={"file_id": file_id}, timeout=10).json()
    session.get(f"{url}/file/bot{token}/{answer['result']['file_path']}", timeout=10).raise_for_status()
    return time.perf_counter() - started
