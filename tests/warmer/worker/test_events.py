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
