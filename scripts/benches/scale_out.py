"""Hits and warmings with more and more processes, on one Redis and on a cluster of three masters.

Web tier, workers, Redis, the fake Telegram and the load share two cores, so that each figure comes with the share of
them that each kind of process took: it says who was the limit.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from redis import Redis

from benches import load
from benches.avatars import store_avatars
from benches.book import Book
from benches.cluster import start_cluster
from benches.rows import Measurement
from benches.service import SETTINGS, Service, is_up
from benches.stage import BOTH, Stage, stage, wait_for
from benches.upstream import Upstream, start_upstream
from runner.ports import free_loopback_port

COUNTS = (1, 2, 4)  # web processes, and as many worker processes
ROUNDS = 3
SECONDS = 3.0  # of hits
PHOTOS = 480  # of a round of warmings
AVATARS = 96
HIT, WARMING = "hits from Redis", "warmings"
RATE = "a second"
START: dict[str, Callable[[Stage], Redis]] = {"one server": Stage.start_redis, "three masters": start_cluster}
Say = Callable[[str], None]


@dataclass
class Crew:
    """The service with so many processes of each kind, and what takes part beside it."""

    service: Service
    kinds: dict[str, list[psutil.Process]]

    @contextmanager
    def shares(self, figures: dict[str, float]) -> Iterator[None]:
        """Adds, for each kind, the share of the two cores that it took during the block."""
        before, started = self._count_cpu(), time.monotonic()
        yield
        whole = (time.monotonic() - started) * len(BOTH)
        figures |= {kind: (seconds - before[kind]) / whole for kind, seconds in self._count_cpu().items()}

    def _count_cpu(self) -> dict[str, float]:
        return {
            kind: sum(
                sum(one.cpu_times()[:2]) for parent in parents for one in (parent, *parent.children(recursive=True))
            )
            for kind, parents in self.kinds.items()
        }


def measure(say: Say) -> list[Measurement]:
    """Every count on every kind of Redis; raises StartFailed, TimeoutError, BrokenRound."""
    book = Book()
    for kind, start in START.items():
        for count in COUNTS:
            # Without the shelf: a hit that needs no Redis knows nothing of its kind.
            with (
                tempfile.TemporaryDirectory(prefix="aw-") as folder,
                stage(Path(folder) / "s", PHOTO_CACHE_MB="0", **SETTINGS) as ground,
            ):
                redis = start(ground)
                upstream = start_upstream(ground, (ROUNDS + 1) * PHOTOS)
                crew = start_crew(ground, redis, count)
                measure_crew(crew, upstream, book, f"{count} on {kind}")
            say(", ".join(f"{work} {book.median(work, f'{count} on {kind}', RATE):.0f}/s" for work in (HIT, WARMING)))
    return book.list_measurements()


def start_crew(ground: Stage, redis: Redis, count: int) -> Crew:
    """Start so many web processes and as many worker processes."""
    port, before = free_loopback_port(), psutil.Process().children()
    web = ground.start_web(port, BOTH, "--workers", str(count))
    workers = [ground.start_worker(BOTH, "--hostname", f"worker{number}@%h") for number in range(count)]
    service = Service(ground, redis, port, web, workers)
    wait_for("the web tier", lambda: is_up(port, "/healthz"))
    wait_for("the workers", lambda: service.count_processes() >= count)
    servers = [process for process in before if "server" in process.name()]
    return Crew(service, {"web": [web], "workers": workers, "Redis": servers})


def measure_crew(crew: Crew, upstream: Upstream, book: Book, who: str) -> None:
    """Rounds of hits and of warmings by turns, after one of each that opens the connections."""
    service = crew.service
    avatars = store_avatars(service.redis, service.keys, AVATARS)
    paths = [(avatar.path(service.stage.environment["URL_SIGNING_KEYS"]), "") for avatar in avatars]
    asked = load.write_requests(service.stage.folder / "hits", paths)
    for number in range(ROUNDS + 1):
        for work, measured in ((HIT, measure_hits(crew, asked)), (WARMING, measure_warmings(crew, upstream))):
            if number:
                book.note(work, who, measured)


def measure_hits(crew: Crew, asked: Path) -> Mapping[str, float]:
    figures: dict[str, float] = {}
    with crew.shares(figures):
        told = load.run(f"http://127.0.0.1:{crew.service.port}", asked, SECONDS, BOTH)
    return {RATE: told.rate, "p99 ms": told.p99, **figures}


def measure_warmings(crew: Crew, upstream: Upstream) -> Mapping[str, float]:
    figures: dict[str, float] = {}
    file_ids: Sequence[str] = upstream.take(PHOTOS)
    started = time.perf_counter()
    with crew.shares(figures):
        crew.service.warm(file_ids)
    return {RATE: PHOTOS / (time.perf_counter() - started), **figures}
