"""Beat without a memory of its own: rounds are slots in Redis, and a round that nobody runs is not stored up."""

from __future__ import annotations

import logging
from typing import Any

from celery.beat import Scheduler

from warmer.broker.publish import BROKER_FAILED, count_waiting

WAITING_MAX = 5  # rounds in the queue above which workers are away
log = logging.getLogger(__name__)


class ModestScheduler(Scheduler):
    """The stock scheduler, in memory, which leaves out rounds while earlier ones still wait."""

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send one round, unless nobody takes them."""
        try:
            if count_waiting(self.app, "tick") > WAITING_MAX:
                return
        except BROKER_FAILED as error:
            log.warning("a round is left out: the broker is away (%s)", type(error).__name__)
            return
        super().apply_entry(entry, producer=producer)
