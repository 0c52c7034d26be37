"""Events for Flower, sent only by the thread of the consumer's loop."""

from __future__ import annotations

import pytest
from redis import Redis

from warmer.celery import app as celery


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
