"""Measures the costs of hits, misses and warmings on a whole service with a fake Telegram, in less than a minute."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from statistics import mean
from typing import Any

import psutil
import requests
from redis import Redis

from benches import machine, sources
from benches.clients import ask_all
from benches.service import Service, measure_cpu, start_service
from benches.testbed import ROOT, open_testbed, wait_for
from benches.upstream import Upstream
from faketelegram import FakeTelegram, ids
from planning.costs import Costs, Memory, Work
from warmer.etag import HEADER_LENGTH
from warmer.settings import Settings

MICRO = 1e6  # microseconds per second
LATENCY = 0.05  # seconds of a call
WARMINGS, MISSES = 400, 300  # pictures
HITS_EACH = 10  # requests per stored picture
IDLE_SECONDS = 6.0  # three ticks
SOURCE = 320  # pixels of the download for the default sizes
DIFFERENT = 24  # pictures
CLIENTS = 16
PICTURES = WARMINGS + MISSES + 2 * CLIENTS
SCRATCH = 1000  # members of the sorted set whose memory is measured
SIZES: tuple[int, ...] = Settings.model_fields["photo_sizes"].default
RESULTS = ROOT / "docs" / "benchmarks" / "results.json"
Say = Callable[[str], None]


@dataclass
class Meter:
    """Reads what the processes of a service use, and the difference that a piece of work makes."""

    redis: Redis
    web: psutil.Process
    workers: Sequence[psutil.Process]
    idle: Work = field(default_factory=Work)  # per second; measured first

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


@dataclass(frozen=True)
class Bench:
    """A running service, its meter, and its Telegram."""

    service: Service
    meter: Meter
    upstream: Upstream
    telegram: FakeTelegram


def measure_costs(say: Say) -> Costs:
    """Measure all costs in one run."""
    results = json.loads(RESULTS.read_text("utf-8"))
    say("Starting a service…")
    with _open_bench(photo_cache_mb=32) as bench:
        bench.meter.idle = _measure_idle(bench, say)
        warmed = bench.upstream.take(WARMINGS)
        say(f"Warming {WARMINGS} pictures…")
        warming = bench.meter.measure(WARMINGS, lambda: _warm(bench, warmed))
        say("Measuring Redis memory…")
        memory = _measure_memory(bench, warmed)
        say(f"{MISSES} misses…")
        missed = bench.upstream.take(MISSES)
        miss = bench.meter.measure(MISSES, lambda: _ask(bench, missed))
        _ask(bench, warmed * 4)  # every process then has them in its response cache
        say("Hits…")
        cache_hit = bench.meter.measure(HITS_EACH * WARMINGS, lambda: _ask(bench, warmed * HITS_EACH))
        idle = bench.meter.idle
    with _open_bench(photo_cache_mb=0) as bench:
        bench.meter.idle = _measure_idle(bench, say)
        _warm(bench, warmed := bench.upstream.take(WARMINGS))
        say("Hits without a response cache…")
        redis_hit = bench.meter.measure(HITS_EACH * WARMINGS, lambda: _ask(bench, warmed * HITS_EACH))
    return Costs(
        machine={**machine.describe_machine(), "Python": platform.python_version()},
        cache_hit=cache_hit,
        redis_hit=redis_hit,
        miss=replace(Work.add((miss, 1), (warming, -1)), web_us=miss.web_us),
        warming=warming,
        tick=_read_round(results, "a tick of beat", "worker_us", 50),
        idle=idle,
        listing=_read_round(results, "20 lists of the newest", "web_us", 20),
        memory=memory,
        answer_bytes=_read_figure(results, "hits", "304", "this service, gunicorn", "bytes each"),
        benchmark={
            "hits": _read_figure(results, "hits", "hit", "this service, gunicorn", "requests/s"),
            "cold": _read_figure(results, "cold", "cold throughput", "this service", "photos/s"),
        },
    )


@contextmanager
def _open_bench(photo_cache_mb: int) -> Iterator[Bench]:
    with open_testbed(PHOTO_CACHE_MB=str(photo_cache_mb)) as testbed:
        telegram = testbed.start_telegram(LATENCY)
        faces = [sources.draw(number, SOURCE) for number in range(DIFFERENT)]
        known = [telegram.world.add_file(faces[n % DIFFERENT]) for n in range(PICTURES)]
        redis = testbed.start_redis()
        service = start_service(testbed, redis)
        meter = Meter(redis, service.web, service.workers)
        bench = Bench(service, meter, Upstream(telegram.url, iter(known)), telegram)
        _warm(bench, bench.upstream.take(2 * CLIENTS))  # opens all connections
        yield bench


def _measure_idle(bench: Bench, say: Say) -> Work:
    say(f"{IDLE_SECONDS:.0f} s without requests…")
    return bench.meter.measure(IDLE_SECONDS, lambda: time.sleep(IDLE_SECONDS))


def _warm(bench: Bench, file_ids: Sequence[str]) -> None:
    """Warm these as a backend does, until every size is stored."""
    bench.service.ask_to_warm(file_ids)
    _wait_for_all(bench, file_ids)


def _ask(bench: Bench, file_ids: Sequence[str]) -> None:
    """Request these as clients do, until the workers have stored the other sizes, too."""
    service = bench.service
    ask_all(service.port, [service.testbed.path_of(name) for name in file_ids], clients=CLIENTS)
    _wait_for_all(bench, list(dict.fromkeys(file_ids)))


def _wait_for_all(bench: Bench, file_ids: Sequence[str]) -> None:
    """Check Redis once per picture after the last download: these commands are measured, too."""
    telegram, redis = bench.telegram, bench.service.redis
    wait_for(
        "the downloads", lambda: telegram.calls["download"] >= telegram.calls["getFile"] >= bench.upstream.taken, 120
    )
    for file_id in file_ids:
        name = bench.service.keys.variant(file_id, SIZES[-1], "webp")
        wait_for("every picture", lambda name=name: redis.exists(name))  # type: ignore[misc]  # bound now


def _measure_memory(bench: Bench, file_ids: Sequence[str]) -> Memory:
    """Bytes of each kind of key, from MEMORY USAGE, including the allocator's and the key's."""
    service, keys = bench.service, bench.service.keys
    redis: Any = service.redis
    partners = {7_000_000_000 + number: file_id for number, file_id in enumerate(file_ids[:100])}
    for partner_id, file_id in partners.items():
        body = {"name": "A Name Of Usual Length", "photo_file_id": file_id}
        url = f"http://127.0.0.1:{service.port}/api/partner/{partner_id}"
        requests.put(url, json=body, headers=service.testbed.headers, timeout=10).raise_for_status()
    redis.zadd("scratch", {ids.file_id("scratch", number): number for number in range(SCRATCH)})
    entry = redis.memory_usage("scratch", samples=0) / SCRATCH
    redis.delete("scratch")

    def mean_usage(names: Sequence[str]) -> float:
        return mean(redis.memory_usage(name) or 0 for name in names)

    variants = [keys.variant(name, size, "webp") for name in partners.values() for size in SIZES]
    picture = mean(redis.strlen(name) - HEADER_LENGTH for name in variants)
    return Memory(
        record=mean_usage([keys.person(one) for one in partners]),
        shown_by=mean_usage([keys.people(name) for name in partners.values()]),
        preview=mean_usage([keys.preview(name) for name in partners.values()]),
        path=mean_usage([keys.path(name) for name in partners.values()]),
        due=entry,
        variant_overhead=mean_usage(variants) - picture,
        variant_bytes=picture,
    )


def _read_round(results: dict[str, Any], work: str, cpu: str, number: int) -> Work:
    """The cost of one of `number` pieces of a round of the benchmark with 100,000 partners; it is wall time."""
    who = "100,000 partners"
    microseconds = _read_figure(results, "scale", work, who, "ms") * 1000 / number
    return Work(**{cpu: microseconds}, commands=_read_figure(results, "scale", work, who, "commands") / number)


def _read_figure(results: dict[str, Any], part: str, work: str, who: str, figure: str) -> float:
    """One figure of the benchmark; raises LookupError if it is missing."""
    for one in next(found for found in results["parts"] if found["name"] == part)["measurements"]:
        if (one["work"], one["who"], one["figure"]) == (work, who, figure):
            return float(one["value"])
    raise LookupError(f"docs/benchmarks/results.json: no {figure} of {work}, {who}")
