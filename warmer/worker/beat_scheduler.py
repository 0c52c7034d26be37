"""Beat without a file of its own: the tasks check their period in Redis, and missed rounds do not pile up.

It writes a heartbeat as workers do, so its absence shows. A round: warmer/worker/beat_rounds.py, `run_tick`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from celery.beat import Scheduler
from redis import Redis
from redis.exceptions import RedisError

from warmer.broker.publish import BROKER_FAILED, count_waiting
from warmer.keys import HEARTBEAT_SECONDS, Keys
from warmer.redis_client.clients import connect_web
from warmer.settings import load_settings_or_exit
from warmer.state.workers import BEAT_SECONDS

WAITING_MAX = 5  # rounds in the queue; with more, no worker is taking them
log = logging.getLogger(__name__)


class ModestScheduler(Scheduler):
    """The stock scheduler, in memory, but it skips rounds while earlier ones wait, and says that it is alive."""

    def __init__(self, *args: Any, clock: Callable[[], float] = time.monotonic, **options: Any) -> None:
        """`clock`: tells seconds. Celery gives the other arguments."""
        super().__init__(*args, **options)
        self._clock = clock
        settings = load_settings_or_exit()
        self._keys = Keys(settings.bot_id)
        self._redis: Redis = connect_web(settings, 1)  # impatient: a Redis that is away must not delay the rounds
        self._next_beat = 0.0  # by that clock

    def tick(self, *args: Any, **options: Any) -> float:
        """Celery calls this at least every `beat_max_loop_interval`."""
        if (now := self._clock()) >= self._next_beat:
            self._next_beat = now + BEAT_SECONDS
            try:
                self._redis.set(self._keys.beat, "1", ex=HEARTBEAT_SECONDS)
            except RedisError as error:
                log.warning("no heartbeat: %s", type(error).__name__)
        return float(super().tick(*args, **options))

    def close(self) -> None:
        """Say goodbye: the key goes at once. Celery calls this more than once."""
        super().close()
        with suppress(RedisError):  # if Redis is away the key expires
            self._redis.delete(self._keys.beat)
        self._redis.close()

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send one round, unless the earlier ones wait for a worker."""
        try:
            if count_waiting(self.app, "tick") > WAITING_MAX:
                return
        except BROKER_FAILED as error:
            log.warning("a round is skipped: the broker is away (%s)", type(error).__name__)
            return
        super().apply_entry(entry, producer=producer)
