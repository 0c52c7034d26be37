"""The worker's consumer: events for Flower leave in batches, four times a second."""

from __future__ import annotations

from typing import Any

from celery.worker.consumer import Consumer

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
