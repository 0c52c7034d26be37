"""One Telegram budget for all workers: a token bucket with lanes, and a common pause after a 429.

It counts Bot API methods; downloads obey the pause only. No official limit exists for these methods; 15 to 20 getFile
a second were reported to be trouble, 12 to be fine.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from redis import Redis
from redis.client import Pipeline

from warmer.deadline import Deadline, JobContext
from warmer.errors import BotTrouble, Paused, Postponed, TokenRejected, Unreachable, WarmerError
from warmer.keys import Keys, Lane
from warmer.state.scripts import load_script, queue

T = TypeVar("T")
log = logging.getLogger(__name__)

# Of the burst, left to the lanes before. Only *rewarm* leaves some: it never waits. A lane that waits for more
# than its own token would make its call late, in a window that is full.
RESERVE: dict[Lane, float] = {"hot": 0.0, "warm": 0.0, "rewarm": 1 / 3}
_, POSTPONED, PAUSED, HALTED, IN_OUTAGE = range(5)  # as the script answers
PROBE_SECONDS = 2.0  # between two calls in an outage
BURST_SECONDS = 0.25  # with it, no window of one second holds more than 1.25 times the rate


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
        on_recovered: Callable[[], None] = lambda: None,
    ) -> None:
        """`clock`: tells seconds; Redis' own clock, which all workers share, where there is none."""
        self.redis = redis
        self.key = keys.budget
        self.rate = rate  # methods per second
        self.burst = max(1.0, rate * BURST_SECONDS)
        self._clock = clock
        self._tell_seconds = clock or time.monotonic
        self._paused_until = 0.0  # by that clock: Redis may forget the pause, this worker does not
        self._sleep = sleep
        self.on_recovered = on_recovered  # from an outage
        self._ask = load_script(redis, "lua/budget.lua")
        self._pause = load_script(redis, "lua/pause.lua")
        self._begin_outage = load_script(redis, "lua/begin_outage.lua")

    def spend(self, job: JobContext, call: Callable[[Deadline], T]) -> T:
        """Make one Bot API call that costs a token; what Telegram says of our pace or token holds for all workers."""
        if not self.take(job):
            return self.obey(job, call)
        try:
            answer = self.obey(job, call)
        except Unreachable:
            raise
        except WarmerError:
            self.end_outage()  # whatever Telegram said, it answered
            raise
        self.end_outage()
        return answer

    def obey(self, job: JobContext, call: Callable[[Deadline], T]) -> T:
        """Make a call after the pause was checked. What Telegram says of pace or token holds for all workers."""
        try:
            return call(job.deadline)
        except Paused as pause:
            self.pause(pause.retry_after or 1)
            raise
        except TokenRejected as error:
            self.halt(error.trouble)
            log.critical("🛑 Telegram refuses the bot: no call is made until getMe passes (%s)", error)
            raise

    def take(self, job: JobContext) -> bool:
        """Take one token; wait for it within the patience of the job, in the order of coming, and never during a pause.

        Returns True if the call is the probe of an outage. Raises Postponed or Paused with the seconds to wait,
        Unreachable in an outage, and TokenRejected while calls are halted.
        """
        wait, is_probe = self._try(RESERVE[job.lane] * self.burst, 1, job.patience.remaining)
        if wait > 0:
            self._sleep(wait)
            if not is_probe:
                self.check_pause()  # one may have begun meanwhile
        return is_probe

    def check_pause(self) -> None:
        """Raises Paused during a pause and TokenRejected while halted."""
        self._try(0, 0, 0)

    def queue_check(self, pipe: Pipeline) -> None:
        """`check_pause` in a pipeline; `read_check` reads the answer."""
        queue(pipe, self._ask, keys=[self.key], args=self._list_args(0, 0, 0))

    def read_check(self, answer: Sequence[Any]) -> None:
        """What `check_pause` raises."""
        self._read(answer)

    def pause(self, seconds: float) -> None:
        """No worker calls Telegram for so long (429, parameters.retry_after)."""
        log.warning("⏸️ Telegram asks for a pause: no call for %.0f s", seconds)
        self._remember_pause(seconds)
        self._pause(keys=[self.key], args=[seconds, self._tell_instant()])

    def halt(self, trouble: BotTrouble = "unauthorized") -> None:
        """Stop every call until `resume`: the token is wrong, or the bot is logged out."""
        self.redis.hset(self.key, "halted", trouble)

    def is_halted(self) -> bool:
        """Whether calls wait for a passing getMe."""
        return bool(self.redis.hexists(self.key, "halted"))

    def get_pause(self) -> float:
        """Seconds until Telegram may be called again, 0 without a pause."""
        state, left, *_ = self._run(0, 0, 0)
        return left / 1000 if state == PAUSED else 0.0

    def begin_outage(self) -> None:
        """From now on, one call at a time goes out as a probe, until one is answered."""
        if self._begin_outage(keys=[self.key], args=[PROBE_SECONDS, self._tell_instant()]):
            log.warning("🔌 Telegram is unreachable: one probe every %.0f s", PROBE_SECONDS)

    def end_outage(self) -> None:
        """Telegram answers again."""
        if self.redis.hdel(self.key, "probe_at"):
            log.info("🔌 Telegram answers again")
            self.on_recovered()

    def resume(self) -> None:
        """Calls are made again: getMe passes."""
        self.redis.hdel(self.key, "halted")

    def _tell_instant(self) -> str:
        return "" if self._clock is None else repr(self._clock())

    def _try(self, reserve: float, cost: int, patience_seconds: float) -> tuple[float, bool]:
        """Take tokens. Returns the seconds to wait before they may be spent."""
        return self._read(self._run(reserve, cost, patience_seconds))

    def _read(self, answer: Sequence[Any]) -> tuple[float, bool]:
        state, rest, *probe = answer
        if state == HALTED:
            trouble: BotTrouble = "logged_out" if rest == b"logged_out" else "unauthorized"
            raise TokenRejected("Telegram refuses the bot; no call until getMe passes", 15, trouble)
        seconds = rest / 1000
        if state == PAUSED:
            self._remember_pause(seconds)
            raise Paused("Telegram asked for a pause", retry_after=seconds)
        if state == IN_OUTAGE:
            # The subject of a failed probe pauses for longer, so that another one is the next probe.
            raise Unreachable("Telegram is unreachable, and another job probes it", retry_after=seconds)
        if state == POSTPONED:
            raise Postponed("no token left", retry_after=seconds)
        return float(seconds), probe == [1]

    def _run(self, reserve: float, cost: int, patience_seconds: float) -> Sequence[Any]:
        answer: Sequence[Any] = self._ask(keys=[self.key], args=self._list_args(reserve, cost, patience_seconds))
        return answer

    def _list_args(self, reserve: float, cost: int, patience_seconds: float) -> list[float | str]:
        remembered = max(0.0, self._paused_until - self._tell_seconds())
        return [self.rate, self.burst, reserve, cost, patience_seconds, remembered, self._tell_instant(), PROBE_SECONDS]

    def _remember_pause(self, seconds: float) -> None:
        self._paused_until = max(self._paused_until, self._tell_seconds() + seconds)
