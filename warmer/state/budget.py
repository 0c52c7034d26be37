"""One Telegram budget for all workers: a token bucket with lanes, and a common pause after a 429.

It counts Bot API methods; downloads obey the pause only. No official limit exists for these methods; 15 to 20 getFile
a second were reported to be trouble, 12 to be fine.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from redis import Redis
from redis.client import Pipeline

from warmer.deadline import Deadline, JobContext
from warmer.errors import BotTrouble, InOutage, Paused, Permanent, Postponed, TokenRejected, Unreachable, WarmerError
from warmer.keys import CALLS, VERDICT_SECONDS, Keys, Lane
from warmer.state.scripts import load_script, queue

T = TypeVar("T")
log = logging.getLogger(__name__)

# The share of the burst that a lane leaves to the lanes before it. Only *rewarm* leaves some, since it never waits. If
# the others waited for a reserve, too, they would call late, when the window of a second is full.
RESERVE: dict[Lane, float] = {"hot": 0.0, "warm": 0.0, "rewarm": 1 / 3}
_, POSTPONED, PAUSED, HALTED, IN_OUTAGE = range(5)  # as the script answers
PROBE_SECONDS = float(VERDICT_SECONDS)  # between two of the same call in an outage
UNPROBED_SECONDS = 60.0  # no job has made the call for so long: it may be answered again by now
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
        on_recovered: Callable[[str], None] = lambda _: None,
        on_answered: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`clock`: returns seconds. Without it the clock is that of Redis, which all workers share."""
        self.redis = redis
        self.key = keys.budget
        self.rate = rate  # methods per second
        self.burst = max(1.0, rate * BURST_SECONDS)
        self._clock = clock
        self._read_seconds = clock or time.monotonic
        self._paused_until = 0.0  # by that clock: Redis may forget the pause, this worker does not
        self._sleep = sleep
        self.on_recovered = on_recovered  # from an outage of this call, or from a halt
        self.on_answered = on_answered  # about the subject: with a result, or a permanent error
        self._ask = load_script(redis, "lua/budget.lua")
        self._pause = load_script(redis, "lua/pause.lua")
        self._begin_outage = load_script(redis, "lua/begin_outage.lua")
        self._halt = load_script(redis, "lua/halt.lua")

    def spend(self, job: JobContext, method: str, call: Callable[[Deadline], T]) -> T:
        """Make one Bot API call that costs a token. All workers obey an answer about our pace or our token."""
        return self.obey(job, method, call, is_probe=self.take(job, method))

    def obey(self, job: JobContext, method: str, call: Callable[[Deadline], T], *, is_probe: bool) -> T:
        """Make a call after the pause was checked. All workers obey an answer about our pace or our token.

        A probe that is answered, whatever the answer says, ends the outage of this call.
        """
        try:
            answer = call(job.deadline)
        except Unreachable as error:
            error.method = method
            raise
        except WarmerError as error:
            if isinstance(error, Paused):
                self.pause(error.retry_after or 1)
            elif isinstance(error, TokenRejected):
                self.halt(error.trouble)
                log.critical("🛑 Telegram refuses the bot: no call is made until getMe passes (%s)", error)
            if is_probe:
                self.end_outage(method)
            if isinstance(error, Permanent):
                self.on_answered(method)
            raise
        if is_probe:
            self.end_outage(method)
        self.on_answered(method)
        return answer

    def take(self, job: JobContext, method: str = "") -> bool:
        """Take one token; wait for it within the patience of the job, in the order of coming, and never during a pause.

        Returns True if the call is the probe of an outage. Raises Postponed or Paused with the seconds to wait,
        InOutage while the method is ill, and TokenRejected while calls are halted.
        """
        wait, is_probe = self._try(RESERVE[job.lane] * self.burst, 1, job.patience.remaining, method)
        if wait > 0:
            self._sleep(wait)
            self.check_pause()  # one may have begun meanwhile
        return is_probe

    def check_pause(self, method: str = "") -> bool:
        """Raises Paused during a pause and TokenRejected while halted.

        `method`: the call to make next, which costs no token. It may raise Unreachable and be a probe, as in `take`.
        """
        return self._try(0, 0, 0, method)[1]

    def queue_check(self, pipe: Pipeline, method: str) -> None:
        """Add `check_pause` to a pipeline. `read_check` reads the answer."""
        queue(pipe, self._ask, keys=[self.key], args=self._list_args(0, 0, 0, method))

    def read_check(self, answer: Sequence[Any], method: str) -> bool:
        """Read the answer to `queue_check`. Returns and raises what `check_pause` does."""
        return self._read(answer, method)[1]

    def pause(self, seconds: float) -> None:
        """Let no worker call Telegram for so long (429, parameters.retry_after)."""
        log.warning("⏸️ Telegram asks for a pause: no call for %.0f s", seconds)
        self._remember_pause(seconds)
        self._pause(keys=[self.key], args=[seconds, self._format_instant()])

    def halt(self, trouble: BotTrouble = "unauthorized") -> None:
        """Stop every call until `resume`: the token is wrong, or the bot is logged out."""
        self._halt(keys=[self.key], args=[trouble, self._format_instant()])

    def is_halted(self) -> bool:
        """Returns True if calls wait for a passing getMe."""
        return bool(self.redis.hexists(self.key, "halted"))

    def get_pause(self) -> float:
        """Return the seconds until Telegram may be called again. Returns 0 without a pause."""
        state, left, *_ = self._run(0, 0, 0)
        return left / 1000 if state == PAUSED else 0.0

    def begin_outage(self, method: str) -> None:
        """From now on, one such call at a time goes out as a probe, until one is answered.

        Each call has its own outage: while downloads fail, profiles are looked up.
        """
        if self._begin_outage(keys=[self.key], args=[PROBE_SECONDS, self._format_instant(), method]):
            log.warning("🔌 Telegram is unreachable (%s): one probe every %.0f s", method, PROBE_SECONDS)

    def is_ill(self, method: str) -> bool:
        """Returns True if this call is in an outage."""
        return bool(self.redis.hexists(self.key, f"ill:{method}"))

    def end_outage(self, method: str) -> None:
        """End the outage of this call: Telegram answers it again."""
        if self.redis.hdel(self.key, f"ill:{method}"):
            log.info("🔌 Telegram answers again (%s)", method)
            self.on_recovered(method)

    def resume(self) -> None:
        """Allow calls again: getMe passes."""
        if self.redis.hdel(self.key, "halted", "halted_at"):  # in one step: neither outlives the other
            self.on_recovered("halt")

    def _format_instant(self) -> str:
        return "" if self._clock is None else repr(self._clock())

    def _try(self, reserve: float, cost: int, patience_seconds: float, method: str) -> tuple[float, bool]:
        """Take tokens. Returns the seconds to wait before they may be spent, and whether the call is a probe."""
        return self._read(self._run(reserve, cost, patience_seconds, method), method)

    def _read(self, answer: Sequence[Any], method: str) -> tuple[float, bool]:
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
            error = InOutage(f"{method}: Telegram is unreachable, and another job probes it", retry_after=seconds)
            error.method = method
            raise error
        if state == POSTPONED:
            raise Postponed("no token left", retry_after=seconds)
        return float(seconds), probe == [1]

    def _run(self, reserve: float, cost: int, patience_seconds: float, method: str = "") -> Sequence[Any]:
        args = self._list_args(reserve, cost, patience_seconds, method)
        answer: Sequence[Any] = self._ask(keys=[self.key], args=args)
        return answer

    def _list_args(self, reserve: float, cost: int, patience_seconds: float, method: str) -> list[float | str]:
        remembered = max(0.0, self._paused_until - self._read_seconds())
        asked = [self.rate, self.burst, reserve, cost, patience_seconds, remembered]
        return [*asked, self._format_instant(), PROBE_SECONDS, method]

    def _remember_pause(self, seconds: float) -> None:
        self._paused_until = max(self._paused_until, self._read_seconds() + seconds)


@dataclass(frozen=True, slots=True)
class Trouble:
    """The reasons why the workers do not call Telegram. Instants are Unix time in seconds, 0 for unknown or never."""

    ill: tuple[str, ...] = ()  # calls that fail for every subject, as of a probe in the last minute
    ill_since: int = 0  # the first of them
    unanswered_since: int = 0  # getMe
    halted_since: int = 0
    pause_seconds: float = 0.0  # that are left of a pause


def read_trouble(redis: Redis, keys: Keys) -> Trouble:
    """Returns the trouble of all workers, in one round trip."""
    pipe: Any = redis.pipeline(transaction=False)
    pipe.time()
    pipe.hmget(keys.budget, [f"ill:{call}" for call in CALLS])
    pipe.hmget(keys.budget, [f"probe_at:{call}" for call in CALLS])
    pipe.hmget(keys.budget, "ill:getMe", "halted_at", "paused_until", "paused_at")
    (seconds, micros), began, probes, others = pipe.execute()  # of a cluster, the clock comes in bytes
    now = int(seconds) + int(micros) / 1e6
    found = zip(CALLS, began, probes, strict=True)
    ill = {call: _read_instant(at) for call, at, probe in found if at and now - float(probe or 0) < UNPROBED_SECONDS}
    unanswered, halted, paused_until, paused_at = others
    return Trouble(
        tuple(ill),
        min(ill.values(), default=0),
        _read_instant(unanswered),
        _read_instant(halted),
        max(0.0, float(paused_until or 0) - max(now, float(paused_at or 0))),  # the clock may be set back
    )


def _read_instant(value: bytes | None) -> int:
    """Return an instant. Returns 0 if there is none, or only the `1` of an earlier release."""
    instant = int(float(value or 0))
    return instant if instant > 1 else 0
