"""Collects what an operator needs at a glance: the state now, the last hour and day, the last failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from redis.exceptions import RedisError

from warmer.broker.publish import BROKER_FAILED
from warmer.observe.checks import Health
from warmer.observe.verdict import Observed, Verdict, find_runbook, make_verdict
from warmer.redis_errors import is_away
from warmer.state.failures import Failure, list_failures
from warmer.state.outbox import Undelivered
from warmer.state.stats import list_minutes
from web.pages.context import PageContext
from web.pages.history import Figures, add_up, split_steps, summarize

DAY_MINUTES, HOUR_MINUTES = 1440, 60


@dataclass(frozen=True, slots=True)
class Now:
    """The state at this moment, as Redis shows it."""

    workers: list[str]  # names of live processes
    silent: list[str]  # names of workers that ended without a goodbye
    bot: str
    ill: tuple[str, ...]  # calls to Telegram that fail for every picture
    paused_seconds: float  # until Telegram may be called again, 0 without a pause
    is_halted: bool  # Telegram refuses the token: no call until getMe succeeds
    due: int  # subjects in the schedule
    due_within_minute: int
    due_within_hour: int
    late_seconds: float  # of the earliest run


@dataclass(frozen=True, slots=True)
class Step:
    """A part of the day, from that instant on. None if nothing was counted or sampled."""

    at: int  # Unix time, in seconds
    figures: Figures | None


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole overview. What is unknown while Redis or the broker is away is None or empty."""

    at: int  # Unix time, in seconds
    verdict: Verdict
    checks: dict[str, str]  # as /readyz shows them
    redis: str  # that check
    broker: str  # that check
    queues: dict[str, int] = field(default_factory=dict)  # waiting messages
    now: Now | None = None
    hour: Figures | None = None
    day: Figures | None = None
    failures: list[Failure] = field(default_factory=list)
    webhook: Undelivered | None = None  # None, too, if there is none
    since: int | None = None  # Unix time of the first minute of the day that has figures, in seconds
    steps: list[Step] = field(default_factory=list)


def take_overview(context: PageContext) -> Overview:
    """Read everything in some ten round trips. The minutes of 24 hours take 60 ms, measured."""
    health = context.health.take()
    runbook = find_runbook(context.settings.docs_url, context.settings.public_url)
    checks, redis, broker = health.checks, health.checks["redis"], health.checks["broker"]
    queues = _count_queues(context) if broker == "ok" else {}
    try:
        at = context.redis.time()[0]
        minute, buckets = list_minutes(context.redis, context.keys, DAY_MINUTES)
        now, failures = _read_now(context, health), list_failures(context.redis, context.keys)
        webhook = context.outbox.look() if context.outbox else None
    except RedisError as error:
        if not is_away(error):
            raise
        redis, at = "away" if redis == "ok" else redis, int(context.wall_clock())  # Redis went away a moment ago
        health = replace(health, can_read=False, checks=checks | {"redis": redis})
        return Overview(at, make_verdict(Observed(health, [], at), runbook), health.checks, redis, broker, queues)
    return Overview(
        at=at,
        verdict=make_verdict(Observed(health, buckets, at, webhook), runbook),
        checks=checks,
        redis=redis,
        broker=broker,
        queues=queues,
        now=now,
        hour=summarize(add_up(buckets[-HOUR_MINUTES:])),
        day=summarize(add_up(buckets)),
        failures=failures,
        webhook=webhook,
        since=_find_first(minute, buckets),
        steps=[
            Step(60 * start, summarize(bucket) if bucket else None) for start, bucket in split_steps(minute, buckets)
        ],
    )


def _find_first(minute: int, buckets: Sequence[Counter[str]]) -> int | None:
    """Unix time of the first bucket that counts anything, in seconds; `minute` is that of the last one."""
    first = minute - len(buckets) + 1
    return next((60 * (first + place) for place, bucket in enumerate(buckets) if bucket), None)


def _read_now(context: PageContext, health: Health) -> Now:
    within_minute, within_hour = context.schedule.count_within(60, 3600)
    return Now(
        workers=sorted(status.name for status in health.workers),
        silent=list(health.silent),
        bot=health.checks["bot"],
        ill=health.trouble.ill,
        paused_seconds=round(context.budget.get_pause(), 1),
        is_halted=context.budget.is_halted(),
        due=context.schedule.count(),
        due_within_minute=within_minute,
        due_within_hour=within_hour,
        late_seconds=round(context.schedule.get_lateness(), 1),
    )


def _count_queues(context: PageContext) -> dict[str, int]:
    try:
        return context.publisher.count_all_waiting()
    except BROKER_FAILED:
        return {}
