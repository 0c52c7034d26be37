"""The events for Flower: only the thread of the consumer's loop sends them."""

from __future__ import annotations

import sys
from typing import Any

from celery.app.events import Events as CeleryEvents
from celery.events.dispatcher import EventDispatcher
from celery.worker.consumer import Consumer

NO_PHOTO = "unavailable: none"
EVENTS = {"unavailable": "task-failed", "postponed": "task-retried", "dropped": "task-retried"}


def choose_event(outcome: str) -> str | None:
    """The event that shows the outcome of a job (`Outcome.__str__`) in Flower, if it is not a success.

    For Celery every job with an outcome has succeeded. An exception would change neither its acknowledgement nor its
    retry, which is on the schedule, but Celery's event of a failure has neither duration nor result.
    """
    return None if outcome.startswith(NO_PHOTO) else EVENTS.get(outcome.partition(":")[0])


class LoopDispatcher(EventDispatcher):
    """Buffers the events of the tasks' threads until the loop flushes them.

    Celery's dispatcher sends a full buffer from the task's thread, which then waits for RabbitMQ's confirmation. The
    loop reads from the same connection: if it receives the confirmation, that thread waits forever, and the worker
    hangs.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | {"buffer_limit": sys.maxsize})

    def send(self, type: str, *args: Any, **options: Any) -> Any:
        """Try once: an event that fails is kept for the next flush, and the loop connects again.

        Celery retries a worker's heartbeat forever. If RabbitMQ closed the connection while the worker was blocked,
        that opens 200 connections per second in vain, and the loop never continues.
        """
        if type == "task-succeeded" and (shown := choose_event(outcome := str(options.get("result")).strip("'\""))):
            type, options = shown, options | {"exception": outcome}
        return super().send(type, *args, **options | {"retry": False})

    def extend_buffer(self, other: EventDispatcher) -> None:
        """Take over the events of the dispatcher before this one. Celery's leaves those of tasks behind."""
        super().extend_buffer(other)
        self._group_buffer = other._group_buffer  # type: ignore[attr-defined]  # private in Celery


class Events(CeleryEvents):
    """Celery's events, with this dispatcher."""

    dispatcher_cls = "warmer.worker.events:LoopDispatcher"


FLUSH_SECONDS = 0.25


class BatchingConsumer(Consumer):
    """Flushes events four times per second. Celery's flushes for nearly every task: a sixth of the worker's time."""

    def register_with_event_loop(self, hub: Any) -> None:
        super().register_with_event_loop(hub)
        hub.call_repeatedly(FLUSH_SECONDS, self._flush_events)  # type: ignore[attr-defined]  # celery-types does not know it

    def on_send_event_buffered(self) -> None:  # type: ignore[override]  # celery-types is wrong
        """Leave the event to the next flush."""

    def shutdown(self) -> None:
        self._flush_events()  # type: ignore[attr-defined]  # as above; or Flower shows the last tasks as running forever
        super().shutdown()
