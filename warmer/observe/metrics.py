"""The workers' figures: by the minute in Redis, and for Prometheus in the multi-process folder that /metrics reads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TypeVar

from prometheus_client import Counter, Histogram

from warmer.keys import Lane
from warmer.observe.metric_files import share_metrics
from warmer.state.stats import MinuteStats

T = TypeVar("T")

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)

ANSWERS = ("200", "400", "403", "404")  # HTTP statuses of a call that got a usable answer

share_metrics()
WARMINGS = Counter("avatar_warmings", "Jobs of the workers by lane and outcome.", ["lane", "outcome"])
WARM_SECONDS = Histogram("avatar_warm_seconds", "Duration of a whole job.", ["lane"], buckets=SECONDS)
STEP_SECONDS = Histogram("avatar_warm_step_seconds", "Duration of a step of warming.", ["step"], buckets=SECONDS)
UPSTREAM_CALLS = Counter("avatar_upstream_calls", "Calls to Telegram by method and outcome.", ["method", "outcome"])
UPSTREAM_SECONDS = Histogram("avatar_upstream_seconds", "Duration of calls to Telegram.", ["method"], buckets=SECONDS)
EVENTS = Counter("avatar_webhook_events", "Attempts to deliver an event, by outcome.", ["outcome"])
UPSTREAM_PAUSES = Counter("avatar_upstream_pauses", "Pauses that Telegram asked for (429).")


def time_each(step: str, things: Iterator[T]) -> Iterator[T]:
    """Yield the same things, and time how long each one takes to come."""
    started = time.monotonic()
    for thing in things:
        STEP_SECONDS.labels(step).observe(time.monotonic() - started)
        yield thing
        started = time.monotonic()


def count_call(stats: MinuteStats, method: str, outcome: str, seconds: float) -> None:
    """Count a call to Telegram; `outcome` is its HTTP status or the class of our error."""
    UPSTREAM_CALLS.labels(method, outcome).inc()
    UPSTREAM_SECONDS.labels(method).observe(seconds)
    stats.count({"calls": 1})
    if outcome == "429":
        UPSTREAM_PAUSES.inc()
        stats.count({"pauses": 1})
    elif outcome not in ANSWERS:
        stats.count({"failed_calls": 1})


def count_warming(stats: MinuteStats, lane: Lane, kind: str, seconds: float) -> None:
    """Count a job; `kind` is that of its outcome."""
    WARMINGS.labels(lane, kind).inc()
    WARM_SECONDS.labels(lane).observe(seconds)
    if kind != "skipped":
        stats.count({"warmings": 1})


def count_event(stats: MinuteStats, outcome: str) -> None:
    """Count an attempt to deliver an event of the webhook: delivered, failed, dead, or dropped after a 410."""
    EVENTS.labels(outcome).inc()
    stats.count({f"events:{outcome}": 1})
