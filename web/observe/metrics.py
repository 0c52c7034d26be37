"""Counts signals for Prometheus and for the minute buckets. The code that answers calls nothing here."""

from __future__ import annotations

import logging
import os
from bisect import bisect_left
from collections import Counter as Counted
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from flask import Flask, Response, g, request, request_finished
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from warmer.broker.publish import BROKER_FAILED
from warmer.observe.checks import STATES, Health
from warmer.observe.metric_files import SharedMetrics, share_metrics
from warmer.state.outbox import Undelivered
from warmer.state.stats import MinuteStats, count_latencies
from web.context import get_context
from web.observe.access_log import LIST, Entry
from web.observe.context import ObserveContext
from web.signals import connect_own, photo_not_found, photo_not_served, photo_overloaded, photo_served

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
ENDPOINTS = {LIST: "partners.list_recent"}  # by kind of entry: Flask's name of the route
log = logging.getLogger(__name__)

share_metrics()
PHOTOS = Counter("avatar_photos", "Answers of photo routes: hit, miss, not_found, error, refused.", ["result"])
PHOTO_SECONDS = Histogram("avatar_photo_seconds", "Response time of served photos.", ["cache"], buckets=SECONDS)
OVERLOADED = Counter("avatar_shed", "Misses that got 503 at once: too many requests wait, or the broker is away.")
LINES_DROPPED = Counter("avatar_log_lines_dropped", "Lines of hits that were dropped while nobody read the log.")
REQUESTS = Counter("avatar_requests", "Answers of all routes by endpoint and status.", ["endpoint", "status"])


@connect_own(photo_served)
def note_served(
    app: Flask,
    *,
    subject: str,
    kind: str,
    status: str,
    seconds: float,
    was_hit: bool,
    method: str,
    request_id: str,
    **_: Any,
) -> None:
    """A picture was served. A hit: it was stored when the request arrived."""
    context = get_context(ObserveContext, app)
    context.access_log.note(Entry(subject, kind, status, seconds, was_hit, context.wall_clock(), method, request_id))


def count_served(stats: MinuteStats, entries: Sequence[Entry]) -> None:
    """Count pictures and lists: add them up first, since each figure costs about as much as a hit."""
    for (kind, status), number in Counted((entry.kind, entry.status) for entry in entries).items():
        REQUESTS.labels(ENDPOINTS.get(kind, f"photos.{kind}"), status).inc(number)
    pictures = [entry for entry in entries if entry.kind != LIST]
    caches: tuple[Literal["hit", "miss"], ...] = ("hit", "miss")
    for cache in caches:
        seconds = [entry.seconds for entry in pictures if entry.was_hit == (cache == "hit")]
        if seconds:
            PHOTOS.labels(cache).inc(len(seconds))
            _observe_all(PHOTO_SECONDS.labels(cache), seconds)
            results = {"requests": len(seconds), "hits" if cache == "hit" else "misses": len(seconds)}
            stats.count(results | count_latencies(cache, seconds))


def _observe_all(histogram: Histogram, values: Sequence[float]) -> None:
    """`observe` for many values at once, which prometheus_client does not offer."""
    for place, number in Counted(bisect_left(histogram._upper_bounds, value) for value in values).items():
        histogram._buckets[place].inc(number)
    histogram._sum.inc(sum(values))


@connect_own(photo_not_found)
def count_not_found(app: Flask, **_: Any) -> None:
    """No photo: neither a hit nor a miss."""
    PHOTOS.labels("not_found").inc()
    get_context(ObserveContext, app).stats.count({"requests": 1, "not_found": 1})


@connect_own(photo_overloaded)
def count_overloaded(app: Flask, **_: Any) -> None:
    """A miss that found no place to wait, or no broker."""
    OVERLOADED.inc()
    get_context(ObserveContext, app).stats.count({"shed": 1})


@connect_own(photo_not_served)
def count_not_served(app: Flask, *, kind: str, status: int, **_: Any) -> None:
    """Any other answer of the photo routes. From 500 on it is an error, and a miss."""
    REQUESTS.labels(f"photos.{kind}", str(status)).inc()
    if status >= 500:
        PHOTOS.labels("error").inc()
        get_context(ObserveContext, app).stats.count({"requests": 1, "misses": 1, "errors": 1})
    elif status in (400, 403):
        PHOTOS.labels("refused").inc()


@connect_own(request_finished)
def count_request(_app: Flask, *, response: Response, **_: Any) -> None:
    """An answer of Flask's routes."""
    REQUESTS.labels(request.endpoint or "none", str(response.status_code)).inc()


def init_app(app: Flask, clock: Callable[[], float]) -> None:
    """Time every request of Flask's routes; `clock` returns seconds."""

    @app.before_request
    def start_clock() -> None:
        g.started = clock()

    @app.after_request
    def show_times(response: Response) -> Response:
        milliseconds = (clock() - g.started) * 1000
        response.headers["X-Response-Time"] = f"{milliseconds:.1f}ms"
        response.headers["Server-Timing"] = f"total;dur={milliseconds:.1f}"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


class RedisFigures(Collector):
    """Reads queues, schedule, workers and pause from Redis at each scrape."""

    def __init__(self, context: ObserveContext) -> None:
        self.context = context

    def collect(self) -> Iterator[Metric]:
        context, health = self.context, self.context.health.take()
        yield _show_checks(health)
        queues = Gauge("avatar_queue_length", "Messages waiting in the queue.", labels=["queue"])
        try:
            for queue, number in context.publisher.count_all_waiting().items():
                queues.add_metric([queue], number)
            yield queues
        except BROKER_FAILED as error:
            log.warning("no queue lengths: %s", type(error).__name__)
        try:
            yield Gauge("avatar_due", "Subjects in the schedule.", context.schedule.count())
            late = context.schedule.get_lateness()
            yield Gauge("avatar_due_late_seconds", "Seconds by which the earliest run is late.", late)
            if health.can_read:
                alive, silent = len(health.workers), len(health.silent)
                yield Gauge("avatar_workers", "Worker processes with a heartbeat.", alive)
                yield Gauge("avatar_workers_silent", "Workers that ended without a goodbye.", silent)
            pause = context.budget.get_pause()
            yield Gauge("avatar_upstream_pause_seconds", "Seconds until Telegram may be called again.", pause)
            is_halted = int(context.budget.is_halted())
            yield Gauge("avatar_upstream_halted", "1 while Telegram refuses the token.", is_halted)
            webhook = context.outbox.look() if context.outbox else Undelivered()
            yield Gauge("avatar_webhook_waiting", "Ids with events that are not delivered.", webhook.ids)
            late_seconds = webhook.late_seconds
            yield Gauge("avatar_webhook_late_seconds", "Seconds by which the earliest attempt is late.", late_seconds)
            yield Gauge("avatar_webhook_failures", "Failed attempts in a row.", webhook.failures)
            yield Gauge(
                "avatar_webhook_dead", "Ids with an event that was given up, for 50 hours at most.", len(webhook.dead)
            )
            is_stopped = int(webhook.is_stopped)
            yield Gauge("avatar_webhook_stopped", "1 after the receiver has answered 410.", is_stopped)
        except RedisError as error:
            log.warning("no figures from Redis: %s", type(error).__name__)


def _show_checks(health: Health) -> Metric:
    """Every state of every check: 1 for the one that holds."""
    family = Gauge("avatar_check", "1 for the state that /readyz shows.", labels=["check", "state"])
    for check, states in STATES.items():
        for state in states:
            family.add_metric([check, state], int(health.checks[check] == state))
    return family


def render_metrics(context: ObserveContext) -> tuple[bytes, str]:
    """The exposition and its content type: the processes of this machine, through their shared folder, and Redis."""
    context.access_log.count()
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    processes = SharedMetrics(folder) if folder else REGISTRY
    return generate_latest(processes) + generate_latest(RedisFigures(context)), CONTENT_TYPE_LATEST
