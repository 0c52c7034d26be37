"""Cold pictures, on both cores, each of them two calls of 50 ms away: how many a second, and how long one client waits.

The fake Telegram, Redis, and every contestant share the two cores. A new connection costs 100 ms; those who keep
theirs have paid that before the first round.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benches.bare_pools import BarePools, bare_pools
from benches.book import Book, percentile
from benches.clients import ask_all
from benches.one_miss import measure_misses
from benches.rivals import AFTER, BEFORE, THUMBOR, THUMBOR_CURL, Rival, start_originals, start_thumbors
from benches.rows import Part, Row
from benches.service import NAME, SETTINGS, Service, count_threads, measure_memory, start_service
from benches.stage import stage
from benches.upstream import Upstream, start_upstream
from runner.ports import free_loopback_port

WORK = "cold throughput"
BARE = "thread pools without Celery"
ROUNDS = 3
CLIENTS = 32
PHOTOS = {NAME: 960, BARE: 960, BEFORE: 128, AFTER: 224, THUMBOR: 96, THUMBOR_CURL: 288}  # two to four seconds a round
FILES = 10_000  # file ids of the fake Telegram
TARGETS = ((AFTER, 3.0), (THUMBOR, 3.0), (BARE, 0.85))  # against whom, and how many times as fast at least


@dataclass(frozen=True)
class Contestant:
    """Somebody who makes pictures."""

    name: str
    make: Callable[[Sequence[str]], list[float]]  # these; the seconds that each client waited, if there are clients
    processes: list[psutil.Process] = field(default_factory=list)


def run(say: Callable[[str], None]) -> Part:
    """Measure cold throughput in alternating rounds, then one client's misses."""
    part, book = Part("cold"), Book()
    with tempfile.TemporaryDirectory(prefix="aw-") as folder, stage(Path(folder) / "s", **SETTINGS) as ground:
        port = free_loopback_port()
        redis = ground.start_redis(port=port)
        upstream = start_upstream(ground, FILES)
        service = start_service(ground, redis)
        rivals = [*start_originals(ground), *start_thumbors(ground, port)]
        with bare_pools(ground, service.count_processes(), count_threads()) as pools:
            contestants = list_contestants(service, pools, rivals)
            measure(contestants, upstream, book, say)
        part.rows = [_row(book, against, target) for against, target in TARGETS if book.has(WORK, against)]
        part.rows += measure_misses(service, upstream, book, say)
    part.skipped = [f"{name}: not installed" for name in PHOTOS if not book.has(WORK, name)]
    part.measurements = book.list_measurements()
    return part


def list_contestants(service: Service, pools: BarePools, rivals: list[Rival]) -> list[Contestant]:
    """Everybody who takes part."""

    def through_celery(file_ids: Sequence[str]) -> list[float]:
        service.warm(file_ids)
        return []

    def through_pools(file_ids: Sequence[str]) -> list[float]:
        pools.warm(file_ids)
        return []

    def through(rival: Rival) -> Callable[[Sequence[str]], list[float]]:
        return lambda file_ids: ask_all(rival.port, list(map(rival.path_of, file_ids)), clients=CLIENTS)

    return [
        Contestant(NAME, through_celery, [service.web, *service.workers]),
        Contestant(BARE, through_pools),
        *(Contestant(rival.name, through(rival), [rival.process]) for rival in rivals),
    ]


def measure(contestants: list[Contestant], upstream: Upstream, book: Book, say: Callable[[str], None]) -> None:
    """Rounds by turns, after one that opens everybody's connections."""
    for contestant in contestants:
        contestant.make(upstream.take(2 * CLIENTS))
    for number in range(ROUNDS):
        for contestant in contestants:
            figures = _measure_round(contestant, upstream)
            book.note(WORK, contestant.name, figures)
            say(f"cold, round {number + 1} of {ROUNDS}: {contestant.name}, {figures['photos/s']:.0f} photos/s")
    for contestant in contestants:
        if contestant.processes:
            book.note(WORK, contestant.name, {"RSS MB": measure_memory(contestant.processes)})


def _measure_round(contestant: Contestant, upstream: Upstream) -> dict[str, float]:
    photos = PHOTOS[contestant.name]
    file_ids = upstream.take(photos)
    calls = upstream.count_calls()
    started = time.perf_counter()
    waits = contestant.make(file_ids)
    seconds = time.perf_counter() - started
    figures = {
        "photos/s": photos / seconds,
        "upstream calls per photo": (upstream.count_calls() - calls) / photos,
    }
    if waits:
        figures |= {"p50 ms": percentile(waits, 50) * 1000, "p99 ms": percentile(waits, 99) * 1000}
    return figures


def _row(book: Book, against: str, target: float) -> Row:
    def times_as_fast(who: str) -> float:
        return book.median(WORK, NAME, "photos/s") / book.median(WORK, who, "photos/s")

    note = ""
    if against == AFTER:
        pools = book.median(WORK, BARE, "photos/s") / book.median(WORK, AFTER, "photos/s")
        note = f"the same steps without Celery: {pools:.2f} ×"
    if against == BARE:
        note = "what Celery takes: delivery, tracing, publishing"
    if against == THUMBOR and book.has(WORK, THUMBOR_CURL):
        note = f"thumbor as it comes; {times_as_fast(THUMBOR_CURL):.2f} × {THUMBOR_CURL} and 100 connections"
    return Row(WORK, against, times_as_fast(against), target, note=note)
