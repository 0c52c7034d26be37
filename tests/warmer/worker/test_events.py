"""The events for Flower, which the thread of the consumer's loop alone sends."""

from __future__ import annotations

import pytest
from redis import Redis

from warmer.celery import app as celery


def test_what_tasks_say_waits_for_the_loop_however_much_it_is(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    with celery.connection_for_write() as connection:
        dispatcher = celery.events.Dispatcher(connection, buffer_group=["task"])
        sent: list[int] = []
        monkeypatch.setattr(dispatcher, "_publish", lambda batch, *_: sent.append(len(batch)))
        for _ in range(1000):
            dispatcher.send("task-succeeded")
        assert sent == []
        dispatcher.flush()
        assert sent == [1000]
