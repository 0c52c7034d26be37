"""Refreshes as a backend requests them and a worker carries them out."""

from __future__ import annotations

from tests.warmer.flow.conftest import follow
from warmer.keys import Subject
from warmer.wiring import WorkerContext


def request(context: WorkerContext, user_id: int) -> list[Subject]:
    return context.steps.refreshes.request(context.people.get_many([user_id]))


def is_wanted(context: WorkerContext, user_id: int) -> bool:
    subject = Subject.of_person(user_id)
    return context.steps.refreshes.list_wanted([subject]) == {subject}


def refresh(context: WorkerContext, user_id: int) -> str:
    assert request(context, user_id) == [Subject.of_person(user_id)]
    return follow(context, user_id)


def end_the_minute(context: WorkerContext, user_id: int) -> None:
    """As if the last refresh had been a minute ago."""
    assert context.redis.delete(context.keys.refreshed(Subject.of_person(user_id)))


def get_next_run(context: WorkerContext, user_id: int) -> float | None:
    """Returns the seconds until the next run, None without one."""
    at = context.redis.zscore(context.keys.schedule, Subject.of_person(user_id))
    seconds, micros = context.redis.time()
    return None if at is None else at - seconds - micros / 1e6
