"""Turns minute buckets into the figures of an hour, a day, or a step of a chart; no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from warmer.state.stats import LATENCY_MS

STEP_MINUTES = 10
QUEUE, UNAVAILABLE, EVENTS = "queue:", "unavailable:", "events:"
SAMPLES = ("due", "late", "workers")
COUNTS = {"hit": "hits", "miss": "misses"}


@dataclass(frozen=True, slots=True)
class Latency:
    """Response times of served photos. None without a served photo."""

    photos: int
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a period. Rates are shares of 1, None without requests. A sampled figure is its highest sample."""

    requests: int
    hit_rate: float | None  # hits / (hits + misses)
    error_rate: float | None  # of all requests
    not_found: int
    served: Latency
    cached: Latency
    uncached: Latency
    calls: int
    failed_calls: int
    pauses: int
    warmings: int
    failures: int
    unavailable: dict[str, int]  # by cause
    events: dict[str, int]  # attempts to deliver one to the webhook, by outcome
    queues: dict[str, int]
    due: int | None
    workers: int | None


def add_up(buckets: Iterable[Counter[str]]) -> Counter[str]:
    """The sum of several buckets; of a sampled figure, the highest."""
    whole: Counter[str] = Counter()
    for bucket in buckets:
        for field, number in bucket.items():
            is_sample = field.startswith(QUEUE) or field in SAMPLES
            whole[field] = max(whole[field], number) if is_sample else whole[field] + number
    return whole


def split_steps(now: int, buckets: Sequence[Counter[str]]) -> Iterator[tuple[int, Counter[str]]]:
    """The minute in which each step begins, since 1970, and its bucket; the last ends now, the first may be shorter.

    `now` is the minute of the last bucket.
    """
    first = now - len(buckets) + 1
    for start in range(first - -len(buckets) % STEP_MINUTES, now + 1, STEP_MINUTES):
        low = max(start - first, 0)
        yield start, add_up(buckets[low : start - first + STEP_MINUTES])


def summarize(bucket: Counter[str]) -> Figures:
    """The figures of a bucket."""
    return Figures(
        requests=bucket["requests"],
        hit_rate=_share(bucket["hits"], bucket["hits"] + bucket["misses"]),
        error_rate=_share(bucket["errors"], bucket["requests"]),
        not_found=bucket["not_found"],
        served=_measure(bucket, "hit", "miss"),
        cached=_measure(bucket, "hit"),
        uncached=_measure(bucket, "miss"),
        calls=bucket["calls"],
        failed_calls=bucket["failed_calls"],
        pauses=bucket["pauses"],
        warmings=bucket["warmings"],
        failures=bucket["failures"],
        unavailable=_pick(bucket, UNAVAILABLE),
        events=_pick(bucket, EVENTS),
        queues=_pick(bucket, QUEUE),
        due=bucket.get("due"),
        workers=bucket.get("workers"),
    )


def find_percentile(numbers: Sequence[int], share: float) -> float | None:
    """The latency in ms of this percentile, from counts by `LATENCY_MS`, linear in a bucket. None without photos."""
    left = share * sum(numbers)
    for lower, upper, number in zip((0, *LATENCY_MS), LATENCY_MS, numbers, strict=False):
        if 0 < left <= number:
            return round(lower + (upper - lower) * left / number, 1)
        left -= number
    return None


def _measure(bucket: Counter[str], *results: str) -> Latency:
    numbers = [sum(bucket[f"{result}_ms:{bound}"] for result in results) for bound in LATENCY_MS]
    photos = sum(bucket[COUNTS[result]] for result in results)
    return Latency(photos, find_percentile(numbers, 0.5), find_percentile(numbers, 0.99))


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 5) if whole else None


def _pick(bucket: Counter[str], prefix: str) -> dict[str, int]:
    return {field.removeprefix(prefix): bucket[field] for field in sorted(bucket) if field.startswith(prefix)}
