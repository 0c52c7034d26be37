"""What the tests about an ill Telegram share."""

from __future__ import annotations

from typing import Any

from faketelegram import FakeTelegram
from tests.conftest import make_picture, next_id
from warmer.deadline import JobContext
from warmer.flow.outcome import Outcome
from warmer.flow.profile import refresh_profile
from warmer.flow.warm import warm_photo
from warmer.keys import CALLS, DOWNLOAD, Lane, Subject
from warmer.wiring import WorkerContext


def warm(context: WorkerContext, file_id: str, lane: Lane = "warm") -> Outcome:
    return warm_photo(file_id, JobContext.start(lane, 2), context.steps)


def pass_time(context: WorkerContext, *subjects: str) -> None:
    """As if the backoff of these subjects were over, and the time until the next probe and the next cross-check."""
    over = [context.keys.backoff(subject) for subject in subjects] + [context.keys.verdict(call) for call in CALLS]
    for key in over:
        context.redis.delete(key)
    fields: Any = context.redis.hkeys(context.keys.budget)
    for field in fields:
        if field.startswith(b"probe_at"):
            context.redis.hset(context.keys.budget, field, "0")


def break_telegram(telegram: FakeTelegram, fault: str) -> None:
    for method in ("getFile", "download"):
        telegram.fail(method, fault, times=None)


def list_ill(context: WorkerContext) -> set[str]:
    """The calls that are in an outage."""
    fields: Any = context.redis.hkeys(context.keys.budget)
    return {field.decode().removeprefix("ill:") for field in fields if field.startswith(b"ill:")}


def add_subject(telegram: FakeTelegram, call: str) -> tuple[Subject, dict[str, Any]]:
    """Add a picture, person or group that needs this call. Returns it, and what narrows a fault of the call to it."""
    if call in ("getFile", DOWNLOAD):
        file_id = telegram.world.add_file(make_picture(color="gold"))
        return Subject(file_id), {"file_id": file_id}
    if call == "getChat":
        telegram.world.add_chat(chat_id := -next_id(), "Us", picture=make_picture())
        return Subject.of_person(chat_id), {"user_id": chat_id}
    telegram.world.add_user(user_id := next_id(), "Ann", picture=make_picture())
    return Subject.of_person(user_id), {"user_id": user_id}


def attempt(context: WorkerContext, subject: Subject, lane: Lane = "warm") -> Outcome:
    """Warm a picture, or follow a profile."""
    if subject.is_person:
        return refresh_profile(subject.user_id, JobContext.start(lane, 2), context.steps)
    return warm(context, subject.file_id, lane)


def add_pictures(telegram: FakeTelegram) -> list[str]:
    """Returns the file ids of four pictures."""
    return [telegram.world.add_file(make_picture(color=color)) for color in ("red", "teal", "navy", "gold")]
