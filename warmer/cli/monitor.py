"""Watches workers and broker for a command that waits: what is in the way, and when waiting is pointless."""

from __future__ import annotations

import time
from collections.abc import Callable

from warmer.broker.publish import BROKER_FAILED
from warmer.errors import Stuck
from warmer.state.workers import BEAT_SECONDS, list_worker_statuses
from warmer.wiring import WorkerContext

ALONE_SECONDS = 30.0  # a restarted worker is back within them


class WorkerMonitor:
    """Looks at the broker and, if the command waits, at the workers and at Telegram's pauses."""

    def __init__(
        self,
        context: WorkerContext,
        *,
        waits: bool,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.context = context
        self.waits = waits
        self._clock = clock
        self._sleep = sleep
        self._seen_at = clock()  # when a worker was last alive

    def require(self) -> None:
        """Raises Stuck if the broker is away or, while the command waits, no worker has been alive for too long."""
        self._ask_broker()
        end = self._clock() + BEAT_SECONDS + 1
        while self.waits and not self._sees_worker():
            if self._clock() > end:
                raise Stuck("no worker is alive to wait for (start one, or ask with --no-wait)")
            self._sleep(0.2)

    def find_obstacle(self) -> str:
        """Return the obstacle of now. Returns "" if there is none. Raises Stuck, and RedisError."""
        self._ask_broker()
        if not self.waits:
            return ""
        if not self._sees_worker():
            if self._clock() - self._seen_at > ALONE_SECONDS:
                raise Stuck(f"no worker has been alive for {ALONE_SECONDS:.0f} s")
            return "no worker is alive"
        if self.context.budget.is_halted():
            return "Telegram refuses the bot token"
        pause = self.context.budget.get_pause()
        return f"Telegram asks for {pause:.0f} s of pause" if pause else ""

    def _ask_broker(self) -> None:
        # The publisher raises nothing: it schedules the subjects that it cannot publish.
        try:
            self.context.publisher.count_waiting("warm")
        except BROKER_FAILED as error:
            raise Stuck(f"the broker is away ({type(error).__name__})") from None

    def _sees_worker(self) -> bool:
        is_there = bool(list_worker_statuses(self.context.redis, self.context.keys))
        if is_there:
            self._seen_at = self._clock()
        return is_there
