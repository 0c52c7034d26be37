"""Events for Flower, sent only by the thread of the consumer's loop."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from warmer.celery import app as celery
from warmer.errors import NoPhoto
from warmer.flow.outcome import Outcome
from warmer.worker.events import choose_event


def test_task_events_wait_for_the_loop(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    with celery.connection_for_write() as connection:
        dispatcher = celery.events.Dispatcher(connection, buffer_group=["task"])
        sent: list[int] = []
        monkeypatch.setattr(dispatcher, "_publish", lambda batch, *_: sent.append(len(batch)))
        for _ in range(1000):
            dispatcher.send("task-succeeded")
        assert sent == []
        dispatcher.flush()
        assert sent == [1000]


def test_after_a_new_connection_the_events_of_tasks_are_sent(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    with celery.connection_for_write() as connection:
        before, after = (celery.events.Dispatcher(connection, buffer_group=["task"]) for _ in range(2))
        before.send("task-failed")
        before.disable()
        sent: list[int] = []
        monkeypatch.setattr(after, "_publish", lambda batch, *_: sent.append(len(batch)))
        after.extend_buffer(before)
        after.flush()
        assert sent == [1]


@pytest.mark.parametrize(
    ("outcome", "event"),
    [
        (Outcome("done"), "task-succeeded"),
        (Outcome("skipped", "stale, no client waits any more"), "task-succeeded"),
        (Outcome("unavailable", "none, it's hidden"), "task-succeeded"),
        (Outcome("unavailable", "not-an-image, it's text"), "task-failed"),
        (Outcome("postponed", "Telegram is unreachable, again in 3.0 s"), "task-retried"),
        (Outcome("dropped", "no token left, until a client asks again"), "task-retried"),
    ],
)
def test_flower_is_told_of_a_failed_job_as_a_failure_with_result_and_duration(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, event: str
) -> None:
    with celery.connection_for_write() as connection:
        dispatcher = celery.events.Dispatcher(connection, buffer_group=["task"])
        sent: list[Any] = []
        monkeypatch.setattr(dispatcher, "_publish", lambda batch, *_: sent.extend(batch))
        dispatcher.send("task-succeeded", uuid="1", result=repr(str(outcome)), runtime=0.5)
        dispatcher.flush()
    [told] = sent
    assert (told["type"], told["result"], told["runtime"]) == (event, repr(str(outcome)), 0.5)
    assert told.get("exception") == (None if event == "task-succeeded" else str(outcome))


def test_a_job_without_a_photo_is_named_as_flower_expects_it() -> None:
    assert choose_event(str(Outcome("unavailable", f"{NoPhoto.cause}, no photo"))) is None
