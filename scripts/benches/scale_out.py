"""Hits and warmings with 1, 2 and 4 processes, on one Redis and on a cluster of three masters.

Web tier, workers, Redis, the fake Telegram and the load generator share two cores, so each figure comes with the share
that each kind of process used: it shows the bottleneck.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import psutil
from redis import Redis

from benches import load
from benches.avatars import store_avatars
from benches.cluster import start_cluster
from benches.results import Measurement, Recorder
from benches.service import SETTINGS, measure_cpu, start_service
from benches.testbed import BOTH, Testbed, open_testbed
from benches.upstream import start_upstream

COUNTS = (1, 2, 4)  # web processes, and as many worker processes
ROUNDS = 3
SECONDS = 3.0  # of hits
PHOTOS = 480  # per round of warmings
AVATARS = 96
HIT, WARMING = "hits from Redis", "warmings"
RATE = "a second"
START: dict[str, Callable[[Testbed], Redis]] = {"one server": Testbed.start_redis, "three masters": start_cluster}


def measure(say: Callable[[str], None]) -> list[Measurement]:
    """Measure each count on each kind of Redis; raises StartFailed, TimeoutError or BrokenRound."""
    recorder = Recorder()
    for kind, start in START.items():
        for count in COUNTS:
            who = f"{count} on {kind}"
            with open_testbed(PHOTO_CACHE_MB="0", **SETTINGS) as testbed:  # a hit of that cache needs no Redis
                measure_deployment(testbed, start(testbed), count, recorder, who)
            rates = (f"{work} {recorder.median(work, who, RATE):.0f}/s" for work in (HIT, WARMING))
            say(f"{who}: {', '.join(rates)}")
    return recorder.list_measurements()


def measure_deployment(testbed: Testbed, redis: Redis, count: int, recorder: Recorder, who: str) -> None:
    """Alternate rounds of hits and warmings, after one of each that opens the connections."""
    servers = [process for process in psutil.Process().children() if "server" in process.name()]
    upstream = start_upstream(testbed, (ROUNDS + 1) * PHOTOS)
    names = [("--hostname", f"worker{number}@%h") for number in range(count)]
    service = start_service(testbed, redis, ["--workers", str(count)], names)
    processes = {"web": [service.web], "workers": service.workers, "Redis": servers}
    paths = [(testbed.path_of(avatar.file_id), "") for avatar in store_avatars(redis, testbed.keys, AVATARS)]
    requests = load.write_requests(testbed.folder / "hits", paths)

    def measure_hits() -> Mapping[str, float]:
        measured = load.run(f"http://127.0.0.1:{service.port}", requests, SECONDS, BOTH)
        return {RATE: measured.rate, "p99 ms": measured.p99}

    def measure_warmings() -> Mapping[str, float]:
        file_ids, started = upstream.take(PHOTOS), time.perf_counter()
        service.warm(file_ids)
        return {RATE: PHOTOS / (time.perf_counter() - started)}

    for number in range(ROUNDS + 1):
        for work, run in ((HIT, measure_hits), (WARMING, measure_warmings)):
            before, started = {kind: measure_cpu(its) for kind, its in processes.items()}, time.monotonic()
            figures = run()
            whole = (time.monotonic() - started) * len(BOTH)
            shares = {kind: (measure_cpu(its) - before[kind]) / whole for kind, its in processes.items()}
            if number:
                recorder.note(work, who, {**figures, **shares})
