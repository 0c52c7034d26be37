"""The events for Flower, which the thread of the consumer's loop alone sends."""

from __future__ import annotations

import sys
from typing import Any

from celery.app.events import Events as CeleryEvents
from celery.events.dispatcher import EventDispatcher
from celery.worker.consumer import Consumer


class LoopDispatcher(EventDispatcher):
    """Leaves what the tasks' threads have to say to the next flush of the loop, however much it is.

    Celery's lets a thread send what has piled up, and wait until RabbitMQ confirms it. The loop reads from the same
    connection: whoever gets the answer, the other one waits for ever, and the worker with it.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | {"buffer_limit": sys.maxsize})

    def send(self, *args: Any, **options: Any) -> Any:
        """Try once: what fails is kept for the next flush, and the loop connects again.

        Celery tries a worker's heartbeat for ever. On a connection that RabbitMQ lost while the worker was held up,
        that opens 200 connections a second, each in vain, and the loop never turns again.
        """
        return super().send(*args, **options | {"retry": False})


class Events(CeleryEvents):
    """Celery's, with this dispatcher."""

    dispatcher_cls = "warmer.worker.events:LoopDispatcher"


FLUSH_SECONDS = 0.25


class BatchingConsumer(Consumer):
    """Celery's flushes events whenever its loop turns, which is for nearly every task: a sixth of its time."""

    def register_with_event_loop(self, hub: Any) -> None:
        super().register_with_event_loop(hub)
        hub.call_repeatedly(FLUSH_SECONDS, self._flush_events)  # type: ignore[attr-defined]  # celery-types does not know it

    def on_send_event_buffered(self) -> None:  # type: ignore[override]  # celery-types is wrong
        """Wait for the next round."""

    def shutdown(self) -> None:
        self._flush_events()  # type: ignore[attr-defined]  # as above; or Flower shows the last tasks as running for ever
        super().shutdown()
