"""Collects what an operator needs at a glance: the state now, the last hour and day, the last failures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from redis.exceptions import RedisError

from warmer.broker.publish import BROKER_FAILED
from warmer.state.failures import Failure, list_failures
from warmer.state.stats import list_minutes
from warmer.state.workers import BotState, judge_bot, list_worker_statuses
from web.pages.context import PageContext
from web.pages.history import Figures, add_up, split_steps, summarize
from web.problems import is_away

DAY_MINUTES, HOUR_MINUTES = 1440, 60


@dataclass(frozen=True, slots=True)
class Now:
    """The state at this moment, as Redis shows it."""

    workers: list[str]  # names of live processes
    bot: BotState
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
    redis: Literal["ok", "away"] = "away"
    broker: Literal["ok", "away"] = "away"
    queues: dict[str, int] = field(default_factory=dict)  # waiting messages
    now: Now | None = None
    hour: Figures | None = None
    day: Figures | None = None
    failures: list[Failure] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


def take_overview(context: PageContext) -> Overview:
    """Read everything in some ten round trips. The minutes of 24 hours take 60 ms, measured."""
    queues = _count_queues(context)
    broker: Literal["ok", "away"] = "away" if queues is None else "ok"
    try:
        at = context.redis.time()[0]
        minute, buckets = list_minutes(context.redis, context.keys, DAY_MINUTES)
        now, failures = _read_now(context), list_failures(context.redis, context.keys)
    except RedisError as error:
        if not is_away(error):
            raise
        return Overview(int(context.wall_clock()), broker=broker, queues=queues or {})
    return Overview(
        at=at,
        redis="ok",
        broker=broker,
        queues=queues or {},
        now=now,
        hour=summarize(add_up(buckets[-HOUR_MINUTES:])),
        day=summarize(add_up(buckets)),
        failures=failures,
        steps=[
            Step(60 * start, summarize(bucket) if bucket else None) for start, bucket in split_steps(minute, buckets)
        ],
    )


def _read_now(context: PageContext) -> Now:
    statuses = list_worker_statuses(context.redis, context.keys)
    within_minute, within_hour = context.schedule.count_within(60, 3600)
    return Now(
        workers=sorted(status.name for status in statuses),
        bot=judge_bot(statuses),
        paused_seconds=round(context.budget.get_pause(), 1),
        is_halted=context.budget.is_halted(),
        due=context.schedule.count(),
        due_within_minute=within_minute,
        due_within_hour=within_hour,
        late_seconds=round(context.schedule.get_lateness(), 1),
    )


def _count_queues(context: PageContext) -> dict[str, int] | None:
    try:
        return context.publisher.count_all_waiting()
    except BROKER_FAILED:
        return None
