"""One Telegram budget for all workers: a token bucket with lanes, and a common pause after a 429.

It counts Bot API methods; downloads obey the pause only. No official limit exists for these methods; 15 to 20 getFile
a second were reported to be trouble, 12 to be fine.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from redis import Redis

from warmer.deadline import Deadline, JobContext
from warmer.errors import Paused, Postponed, TokenRejected
from warmer.keys import Keys, Lane
from warmer.state.scripts import load_script

T = TypeVar("T")
log = logging.getLogger(__name__)

RESERVE: dict[Lane, float] = {"hot": 0.0, "warm": 1 / 3, "rewarm": 2 / 3}  # of the burst, left to the lanes before


class Budget:
    """May I call Telegram now?"""

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        rate: float,
        *,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`clock`: tells seconds; Redis' own clock, which all workers share, where there is none."""
        self.redis = redis
        self.key = keys.budget
        self.rate = rate  # methods per second
        self.burst = max(1.0, rate)  # one second's worth
        self._clock = clock
        self._sleep = sleep
        self._ask = load_script(redis, "budget")
        self._pause = load_script(redis, "pause")

    def spend(self, job: JobContext, call: Callable[[Deadline], T]) -> T:
        """Make one Bot API call that costs a token; what Telegram says of our pace or token holds for all workers."""
        self.take(job)
        return self._heed(job, call)

    def spend_nothing(self, job: JobContext, call: Callable[[Deadline], T]) -> T:
        """Make a call that costs no token but obeys the pause: a download."""
        self.check_pause()
        return self._heed(job, call)

    def _heed(self, job: JobContext, call: Callable[[Deadline], T]) -> T:
        try:
            return call(job.deadline)
        except Paused as pause:
            self.pause(pause.retry_after or 1)
            raise
        except TokenRejected as error:
            self.halt()
            log.critical("🛑 Telegram refuses the bot token: no call is made until getMe passes (%s)", error)
            raise

    def take(self, job: JobContext) -> None:
        """Take one token; *hot* waits for it within its patience, the others never wait, and nobody during a pause.

        Raises Postponed or Paused with the seconds to wait, and TokenRejected while calls are halted.
        """
        while (wait := self._try(RESERVE[job.lane] * self.burst, 1)) > 0:
            if wait > job.patience.remaining:
                raise Postponed("no token left", retry_after=wait)
            self._sleep(wait)

    def check_pause(self) -> None:
        """Raises Paused during a pause and TokenRejected while halted."""
        self._try(0, 0)

    def pause(self, seconds: float) -> None:
        """Nobody calls Telegram for so long (429, parameters.retry_after)."""
        log.warning("⏸️ Telegram asks for a pause: no call for %.0f s", seconds)
        self._pause(keys=[self.key], args=[seconds, self._tell_instant()])

    def halt(self) -> None:
        """Stop every call until `resume`: the token is wrong."""
        self.redis.hset(self.key, "halted", "1")

    def is_halted(self) -> bool:
        """Whether calls wait for a passing getMe."""
        return bool(self.redis.hexists(self.key, "halted"))

    def get_pause(self) -> float:
        """Seconds until Telegram may be called again, 0 without a pause."""
        state, *rest = self._ask(keys=[self.key], args=[self.rate, self.burst, 0, 0, self._tell_instant()])
        return rest[0] / 1000 if state == 2 else 0.0

    def resume(self) -> None:
        """The token is right again."""
        self.redis.hdel(self.key, "halted")

    def _tell_instant(self) -> str:
        return "" if self._clock is None else repr(self._clock())

    def _try(self, reserve: float, cost: int) -> float:
        state, *rest = self._ask(keys=[self.key], args=[self.rate, self.burst, reserve, cost, self._tell_instant()])
        if state == 3:
            raise TokenRejected("Telegram refuses the bot token; no call until getMe passes", retry_after=15)
        seconds = rest[0] / 1000 if rest else 0.0
        if state == 2:
            raise Paused("Telegram asked for a pause", retry_after=seconds)
        return seconds
