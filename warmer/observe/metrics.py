"""What workers count: by the minute, and for Prometheus, through the multi-process folder that /metrics shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

from prometheus_client import Counter, Histogram

from warmer.state.stats import MinuteStats

P = ParamSpec("P")
T = TypeVar("T")

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)

ANSWERS = ("200", "400", "403", "404")  # of a call: Telegram said what there is to know

WARMINGS = Counter("avatar_warmings", "Tasks of the workers by lane and outcome.", ["lane", "outcome"])
WARM_SECONDS = Histogram("avatar_warm_seconds", "Duration of a whole task.", ["lane"], buckets=SECONDS)
STEP_SECONDS = Histogram("avatar_warm_step_seconds", "Duration of a step of warming.", ["step"], buckets=SECONDS)
UPSTREAM_CALLS = Counter("avatar_upstream_calls", "Calls to Telegram by method and outcome.", ["method", "outcome"])
UPSTREAM_SECONDS = Histogram("avatar_upstream_seconds", "Duration of calls to Telegram.", ["method"], buckets=SECONDS)
UPSTREAM_PAUSES = Counter("avatar_upstream_pauses", "Pauses that Telegram asked for (429).")


def timed(step: str, call: Callable[P, T]) -> Callable[P, T]:
    """The same step, timed."""

    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        started = time.monotonic()
        try:
            return call(*args, **kwargs)
        finally:
            STEP_SECONDS.labels(step).observe(time.monotonic() - started)

    return run


def timed_each(step: str, call: Callable[P, Iterator[T]]) -> Callable[P, Iterator[T]]:
    """The same step, which gives one thing after another, each timed."""

    def run(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        started = time.monotonic()
        for thing in call(*args, **kwargs):
            STEP_SECONDS.labels(step).observe(time.monotonic() - started)
            yield thing
            started = time.monotonic()

    return run


def count_call(stats: MinuteStats, method: str, outcome: str, seconds: float) -> None:
    """One call to Telegram has ended; `outcome` is its HTTP status or the class of our error."""
    UPSTREAM_CALLS.labels(method, outcome).inc()
    UPSTREAM_SECONDS.labels(method).observe(seconds)
    stats.count({"calls": 1})
    if outcome == "429":
        UPSTREAM_PAUSES.inc()
        stats.count({"pauses": 1})
    elif outcome not in ANSWERS:
        stats.count({"failed_calls": 1})


def count_warming(stats: MinuteStats, lane: str, outcome: str, seconds: float) -> None:
    """One task has ended; the first word of `outcome` says how."""
    kind = outcome.partition(":")[0]
    WARMINGS.labels(lane, kind).inc()
    WARM_SECONDS.labels(lane).observe(seconds)
    if kind != "skipped":
        stats.count({"warmings": 1})
