"""The status of each worker, and of the bot: one key per worker, with a TTL, so that a dead worker disappears."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import suppress
from dataclasses import asdict

from redis import Redis
from redis.exceptions import RedisError

from warmer.deadline import Deadline
from warmer.errors import Paused, TokenRejected, WarmerError
from warmer.keys import Keys
from warmer.repeater import Repeater
from warmer.state.budget import Budget
from warmer.state.workers import WorkerStatus
from warmer.telegram.client import BotApi

BEAT_SECONDS = 5
TTL_SECONDS = 15
log = logging.getLogger(__name__)


class Heartbeat:
    """Writes the status of one worker process, and calls getMe until it passes, and again while calls are halted."""

    def __init__(
        self,
        name: str,
        redis: Redis,
        keys: Keys,
        telegram: BotApi,
        budget: Budget,
        beat_seconds: float = BEAT_SECONDS,
    ) -> None:
        self.redis = redis
        self.keys = keys
        self.telegram = telegram
        self.budget = budget
        self.status = WorkerStatus(name)
        self.beat_seconds = beat_seconds
        self._is_closed = False
        self._writing = threading.Lock()
        self._beats = Repeater("heartbeat", beat_seconds, self._beat_unless_away, runs_at_once=True)

    def start(self) -> None:
        """Start the thread that beats until `close`."""
        self._beats.ensure_started()

    def close(self) -> None:
        """Delete the key at once, then stop the thread."""
        with self._writing:
            self._is_closed = True
            with suppress(RedisError):  # if Redis is away, the key expires
                self.redis.delete(self.keys.worker(self.status.name))
                self.redis.zrem(self.keys.workers, self.status.name)
        self._beats.close()

    def beat(self) -> None:
        """Write the status. If the bot is not known to be all right, call getMe first."""
        if (self.status.bot != "ok" or self.budget.is_halted()) and not self.budget.get_pause():
            self.check_bot()
        with self._writing:
            if not self._is_closed:  # a slow beat must not write after `close` has deleted the key
                self._write()

    def _write(self) -> None:
        now = self.redis.time()[0]
        pipe = self.redis.pipeline(transaction=False)
        pipe.set(self.keys.worker(self.status.name), json.dumps(asdict(self.status)), ex=TTL_SECONDS)
        pipe.zadd(self.keys.workers, {self.status.name: now})
        pipe.zremrangebyscore(self.keys.workers, "-inf", now - 10 * TTL_SECONDS)
        pipe.execute()

    def check_bot(self) -> None:
        """Call getMe. Success ends a halt; a refusal of the bot halts every call. The process continues in any case."""
        name = self.status.name
        try:
            bot = self.telegram.get_me(Deadline(self.beat_seconds))  # or a Telegram that hangs would stop the heartbeat
        except TokenRejected as error:
            self.budget.halt(error.trouble)
            if self.status.bot != error.trouble:
                log.critical("🛑 Telegram refuses the bot: no call is made until getMe passes (%s)", error)
            self.status = WorkerStatus(name, error.trouble)
        except WarmerError as error:  # any other: the heartbeat continues
            if isinstance(error, Paused):
                self.budget.pause(error.retry_after or 1)
            self.status = WorkerStatus(name, "unreachable", self.status.bot_name, self.status.bot_username)
            log.warning("Telegram does not answer getMe: %s", error)
        else:
            self.budget.resume()
            if self.status.bot != "ok":
                log.info("✅ The bot is @%s", bot.username)
            self.status = WorkerStatus(name, "ok", bot.name, bot.username)

    def _beat_unless_away(self) -> None:
        try:
            self.beat()
        except RedisError as error:
            log.warning("no heartbeat: %s", type(error).__name__)
