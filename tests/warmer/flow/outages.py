"""What the tests about an ill Telegram share."""

from __future__ import annotations

from typing import Any

from faketelegram import FakeTelegram
from tests.conftest import make_picture
from warmer.deadline import JobContext
from warmer.flow.outcome import Outcome
from warmer.flow.warm import warm_photo
from warmer.keys import Lane
from warmer.wiring import WorkerContext


def warm(context: WorkerContext, file_id: str, lane: Lane = "warm") -> Outcome:
    return warm_photo(file_id, JobContext.start(lane, 2), context.steps)


def pass_time(context: WorkerContext, *subjects: str) -> None:
    """As if the backoff of these subjects were over, and the time until the next probe."""
    context.redis.delete(*(context.keys.backoff(subject) for subject in subjects))
    if context.redis.hexists(context.keys.budget, "probe_at"):
        context.redis.hset(context.keys.budget, "probe_at", "0")


def break_telegram(telegram: FakeTelegram, fault: str) -> None:
    for method in ("getFile", "download"):
        telegram.fail(method, fault, times=None)


def due_soon(context: WorkerContext) -> dict[str, float]:
    """The seconds until the next run of each subject."""
    seconds, micros = context.redis.time()
    runs: Any = context.redis.zrange(context.keys.schedule, 0, -1, withscores=True)
    return {subject.decode(): at - seconds - micros / 1e6 for subject, at in runs}


def add_pictures(telegram: FakeTelegram) -> list[str]:
    """Returns the file ids of four pictures."""
    return [telegram.world.add_file(make_picture(color=color)) for color in ("red", "teal", "navy", "gold")]
