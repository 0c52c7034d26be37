"""The events for Flower, which the thread of the consumer's loop alone sends."""

from __future__ import annotations

import sys
from typing import Any

from celery.app.events import Events as CeleryEvents
from celery.events.dispatcher import EventDispatcher


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
