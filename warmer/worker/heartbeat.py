"""What workers say of themselves, and of the bot: a key each, with a TTL, so that a silent worker disappears."""

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
    """Beats for one worker process, checks the token at the start, and again while calls are halted."""

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
        self.pulse = WorkerStatus(name)
        self.beat_seconds = beat_seconds
        self._is_closed = False
        self._writing = threading.Lock()
        self._beats = Repeater("heartbeat", beat_seconds, self._beat_unless_away, runs_at_once=True)

    def start(self) -> None:
        """Beat from a thread of its own until `close`."""
        self._beats.ensure_started()

    def close(self) -> None:
        """The worker says good-bye: its key goes at once, then its thread ends."""
        with self._writing:
            self._is_closed = True
            with suppress(RedisError):  # where Redis is away the key ends by its TTL
                self.redis.delete(self.keys.worker(self.pulse.name))
                self.redis.zrem(self.keys.workers, self.pulse.name)
        self._beats.close()

    def beat(self) -> None:
        """Write the heartbeat, after a look at the bot where its state is not known to be good."""
        if (self.pulse.bot != "ok" or self.budget.is_halted()) and not self.budget.get_pause():
            self.check_bot()
        with self._writing:
            if not self._is_closed:  # a beat that took long must not outlive the good-bye
                self._write()

    def _write(self) -> None:
        now = self.redis.time()[0]
        pipe = self.redis.pipeline(transaction=False)
        pipe.set(self.keys.worker(self.pulse.name), json.dumps(asdict(self.pulse)), ex=TTL_SECONDS)
        pipe.zadd(self.keys.workers, {self.pulse.name: now})
        pipe.zremrangebyscore(self.keys.workers, "-inf", now - 10 * TTL_SECONDS)
        pipe.execute()

    def check_bot(self) -> None:
        """Ask getMe. A passing one lets everybody call again, a refusal halts every call; processes go on."""
        name = self.pulse.name
        try:
            bot = self.telegram.get_me(Deadline(self.beat_seconds))  # a Telegram that hangs must not silence the worker
        except TokenRejected as error:
            self.budget.halt(error.trouble)
            if self.pulse.bot != error.trouble:
                log.critical("🛑 Telegram refuses the bot: no call is made until getMe passes (%s)", error)
            self.pulse = WorkerStatus(name, error.trouble)
        except WarmerError as error:  # whatever it is, a worker that cannot ask goes on beating
            if isinstance(error, Paused):
                self.budget.pause(error.retry_after or 1)
            self.pulse = WorkerStatus(name, "unreachable", self.pulse.bot_name, self.pulse.bot_username)
            log.warning("Telegram does not answer getMe: %s", error)
        else:
            self.budget.resume()
            if self.pulse.bot != "ok":
                log.info("✅ The bot is @%s", bot.username)
            self.pulse = WorkerStatus(name, "ok", bot.name, bot.username)

    def _beat_unless_away(self) -> None:
        try:
            self.beat()
        except RedisError as error:
            log.warning("no heartbeat: %s", type(error).__name__)
