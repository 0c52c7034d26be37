"""The status of each worker, and of the bot: one key per worker, with a TTL, so that a dead worker disappears."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace

from redis import Redis
from redis.exceptions import RedisError

from warmer.deadline import Deadline
from warmer.errors import Paused, TokenRejected, WarmerError
from warmer.keys import HEARTBEAT_SECONDS, Keys
from warmer.repeater import Repeater
from warmer.state.budget import Budget
from warmer.state.lease import LeaseManager
from warmer.state.workers import BEAT_SECONDS, SEEN_SECONDS, WorkerStatus
from warmer.telegram.client import BotApi

BOT_SECONDS = 10.0  # between two getMe while all is well
log = logging.getLogger(__name__)


class Heartbeat:
    """Writes the status of one worker process. Calls getMe every 10 s while the bot answers, else with each beat."""

    def __init__(
        self,
        name: str,
        redis: Redis,
        keys: Keys,
        telegram: BotApi,
        budget: Budget,
        leases: LeaseManager,
        beat_seconds: float = BEAT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        threads: int = 0,
    ) -> None:
        self.redis = redis
        self.keys = keys
        self.telegram = telegram
        self.budget = budget
        self.leases = leases
        self.status = WorkerStatus(name, threads=threads)
        self.beat_seconds = beat_seconds
        self._clock = clock
        self._started_at = 0  # Redis' clock, in seconds, of the first beat
        self._asked_at = float("-inf")  # by the clock, when getMe was called last
        self._is_closed = False
        self._writing = threading.Lock()
        self._beats = Repeater("heartbeat", beat_seconds, self._beat_unless_away, runs_at_once=True)

    def start(self) -> None:
        """Start the thread that beats until `close`."""
        self._beats.ensure_started()

    def close(self) -> None:
        """Delete the keys at once, then stop the thread."""
        with self._writing:
            self._is_closed = True
            with suppress(RedisError):  # if Redis is away, the keys expire
                self.redis.delete(self.keys.worker(self.status.name), self.keys.started(self.status.name))
                self.redis.zrem(self.keys.workers, self.status.name)
        self._beats.close()

    def beat(self) -> None:
        """Write the status, after getMe if that is due. During a pause Telegram is not called.

        Then take back the crashes that Redis kept while it was away.
        """
        is_due = self.status.bot != "ok" or self._clock() - self._asked_at >= BOT_SECONDS
        if (is_due or self.budget.is_halted()) and not self.budget.get_pause():
            self._asked_at = self._clock()
            self.check_bot()
        with self._writing:
            if not self._is_closed:  # a slow beat must not write after `close` has deleted its keys
                self._write()
        self.leases.take_back_crashes()

    def _write(self) -> None:
        now = self.redis.time()[0]
        self._started_at = self._started_at or now
        pipe = self.redis.pipeline(transaction=False)
        pipe.set(self.keys.worker(self.status.name), json.dumps(asdict(self.status)), ex=HEARTBEAT_SECONDS)
        pipe.set(self.keys.started(self.status.name), self._started_at, ex=SEEN_SECONDS)
        pipe.zadd(self.keys.workers, {self.status.name: now})
        pipe.zremrangebyscore(self.keys.workers, "-inf", now - SEEN_SECONDS)
        pipe.execute()

    def check_bot(self) -> None:
        """Call getMe. Success ends a halt; a refusal of the bot halts every call. The process continues in any case."""
        status = self.status
        try:
            bot = self.telegram.get_me(Deadline(self.beat_seconds))  # or a Telegram that hangs would stop the heartbeat
        except TokenRejected as error:
            self.budget.halt(error.trouble)
            if self.status.bot != error.trouble:
                log.critical("🛑 Telegram refuses the bot: no call is made until getMe passes (%s)", error)
            self.status = replace(status, bot=error.trouble)
        except WarmerError as error:  # any other: the heartbeat continues
            if isinstance(error, Paused):
                self.budget.pause(error.retry_after or 1)
            else:
                self.budget.begin_outage("getMe")
            self.status = replace(status, bot="unreachable")
            log.warning("Telegram does not answer getMe: %s", error)
        else:
            self.budget.resume()
            self.budget.end_outage("getMe")
            if self.status.bot != "ok":
                log.info("✅ The bot is @%s", bot.username)
            self.status = replace(status, bot="ok", bot_name=bot.name, bot_username=bot.username)

    def _beat_unless_away(self) -> None:
        try:
            self.beat()
        except RedisError as error:
            log.warning("no heartbeat: %s", type(error).__name__)
