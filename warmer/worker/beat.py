"""Beat without a file of its own: the tasks check their period in Redis, and missed rounds do not pile up."""

from __future__ import annotations

import logging
from typing import Any

from celery.beat import Scheduler

from warmer.broker.publish import BROKER_FAILED, count_waiting

WAITING_MAX = 5  # rounds in the queue; with more, no worker is taking them
log = logging.getLogger(__name__)


class ModestScheduler(Scheduler):
    """The stock scheduler, in memory, but it skips rounds while earlier ones wait."""

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send one round, unless the earlier ones wait for a worker."""
        try:
            if count_waiting(self.app, "tick") > WAITING_MAX:
                return
        except BROKER_FAILED as error:
            log.warning("a round is skipped: the broker is away (%s)", type(error).__name__)
            return
        super().apply_entry(entry, producer=producer)
