"""Hits and warmings with 1, 2 and 4 processes, on one Redis and on a cluster of three masters.

Web tier, workers, Redis, the fake Telegram and the load generator share two cores, so each figure comes with the share
that each kind of process used: it shows the bottleneck.
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
from benches.cluster import start_cluster
from benches.results import Measurement, Recorder
from benches.service import SETTINGS, Service, measure_cpu, start_service
from benches.testbed import BOTH, Testbed, open_testbed
from benches.upstream import Upstream, start_upstream

COUNTS = (1, 2, 4)  # web processes, and as many worker processes
ROUNDS = 3
SECONDS = 3.0  # of hits
PHOTOS = 480  # per round of warmings
AVATARS = 96
HIT, WARMING = "hits from Redis", "warmings"
RATE = "a second"
START: dict[str, Callable[[Testbed], Redis]] = {"one server": Testbed.start_redis, "three masters": start_cluster}
Say = Callable[[str], None]


@dataclass
class Deployment:
    """The running service, and its processes by kind."""

    service: Service
    kinds: dict[str, list[psutil.Process]]

    @contextmanager
    def shares(self, figures: dict[str, float]) -> Iterator[None]:
        """Add to `figures` the share of the two cores that each kind used during the block."""
        before, started = self._count_cpu(), time.monotonic()
        yield
        whole = (time.monotonic() - started) * len(BOTH)
        figures |= {kind: (seconds - before[kind]) / whole for kind, seconds in self._count_cpu().items()}

    def _count_cpu(self) -> dict[str, float]:
        return {kind: measure_cpu(processes) for kind, processes in self.kinds.items()}


def measure(say: Say) -> list[Measurement]:
    """Measure each count on each kind of Redis; raises StartFailed, TimeoutError or BrokenRound."""
    recorder = Recorder()
    for kind, start in START.items():
        for count in COUNTS:
            # Without the response cache: its hits need no Redis.
            with (
                tempfile.TemporaryDirectory(prefix="aw-") as folder,
                open_testbed(Path(folder) / "s", PHOTO_CACHE_MB="0", **SETTINGS) as testbed,
            ):
                redis = start(testbed)
                upstream = start_upstream(testbed, (ROUNDS + 1) * PHOTOS)
                deployment = start_deployment(testbed, redis, count)
                measure_deployment(deployment, upstream, recorder, f"{count} on {kind}")
            say(
                ", ".join(
                    f"{work} {recorder.median(work, f'{count} on {kind}', RATE):.0f}/s" for work in (HIT, WARMING)
                )
            )
    return recorder.list_measurements()


def start_deployment(testbed: Testbed, redis: Redis, count: int) -> Deployment:
    """Start `count` web processes and as many worker processes."""
    servers = [process for process in psutil.Process().children() if "server" in process.name()]
    names = [("--hostname", f"worker{number}@%h") for number in range(count)]
    service = start_service(testbed, redis, ["--workers", str(count)], names)
    return Deployment(service, {"web": [service.web], "workers": service.workers, "Redis": servers})


def measure_deployment(deployment: Deployment, upstream: Upstream, recorder: Recorder, who: str) -> None:
    """Alternate rounds of hits and warmings, after one of each that opens the connections."""
    service = deployment.service
    avatars = store_avatars(service.redis, service.keys, AVATARS)
    paths = [(avatar.path(service.testbed.environment["URL_SIGNING_KEYS"]), "") for avatar in avatars]
    requests = load.write_requests(service.testbed.folder / "hits", paths)
    for number in range(ROUNDS + 1):
        for work, measured in (
            (HIT, measure_hits(deployment, requests)),
            (WARMING, measure_warmings(deployment, upstream)),
        ):
            if number:
                recorder.note(work, who, measured)


def measure_hits(deployment: Deployment, requests: Path) -> Mapping[str, float]:
    figures: dict[str, float] = {}
    with deployment.shares(figures):
        measured = load.run(f"http://127.0.0.1:{deployment.service.port}", requests, SECONDS, BOTH)
    return {RATE: measured.rate, "p99 ms": measured.p99, **figures}


def measure_warmings(deployment: Deployment, upstream: Upstream) -> Mapping[str, float]:
    figures: dict[str, float] = {}
    file_ids: Sequence[str] = upstream.take(PHOTOS)
    started = time.perf_counter()
    with deployment.shares(figures):
        deployment.service.warm(file_ids)
    return {RATE: PHOTOS / (time.perf_counter() - started), **figures}
