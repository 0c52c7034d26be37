"""Checks each part of the service, in one vocabulary: `/readyz`, `/ops`, `/metrics` and `diagnose` read it here."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from amqp.exceptions import AccessRefused, NotAllowed
from redis import Redis
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    RedisError,
)

from warmer.broker.publish import BROKER_FAILED, Publisher
from warmer.broker.rights import list_denied_channels
from warmer.keys import Keys
from warmer.redis_errors import find_code
from warmer.state.budget import Trouble, read_trouble
from warmer.state.rights import list_denied
from warmer.state.workers import BotState, Heartbeats, WorkerStatus, judge_bot, read_heartbeats

# Each check, and every word that it can say. `unknown`: the part that would say it is missing itself.
STATES: dict[str, tuple[str, ...]] = {
    "redis": ("ok", "away", "denied"),
    "broker": ("ok", "away", "denied"),
    "worker": ("ok", "missing", "fewer", "unknown"),
    "beat": ("ok", "missing", "unknown"),
    "bot": ("ok", "unauthorized", "logged_out", "unreachable", "unknown"),
}
DENIED = (NoPermissionError, AuthenticationError, AccessRefused, NotAllowed)
LOADING = "it still loads its data"  # a reason why Redis is away, which ends on its own
REASONS = {  # by the code of its refusal
    "OOM": "it is full, and refuses writes",
    "READONLY": "it is a replica, which is read-only",
    "LOADING": LOADING,
    "MISCONF": "it cannot write to its disk, and refuses writes",
    "NOREPLICAS": "it has too few replicas, and refuses writes",
    "BUSY": "it is busy with a script",
}
RIGHTS_SECONDS = 10.0  # between two looks at the rights
RECENT_SECONDS = 1.0  # for so long `take_recent` gives the same
BROKER_SECONDS = 1.0  # for so long a broker that failed is not asked again
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Health:
    """The checks, and what they were made from."""

    checks: dict[str, str]  # see STATES
    can_read: bool  # Redis answers, so stored pictures are served
    workers: list[WorkerStatus] = field(default_factory=list)
    silent: dict[str, int] = field(default_factory=dict)  # the workers that are missed, and their last heartbeats
    denied: tuple[str, ...] = ()  # rights that Redis denies
    broker_denied: tuple[str, ...] = ()  # channels that the broker denies
    trouble: Trouble = field(default_factory=Trouble)  # what keeps the workers from calling Telegram
    reason: str = ""  # why Redis is away, in words
    # Since when this process knows that Redis or the broker fails: Unix time of its own clock, in seconds.
    noticed: dict[str, int] = field(default_factory=dict)

    @property
    def is_ok(self) -> bool:
        return set(self.checks.values()) == {"ok"}

    @property
    def is_only_paused(self) -> bool:
        """Returns True if the bot counts as unreachable only because Telegram asked for a pause."""
        trouble = self.trouble
        is_ill = bool(trouble.ill or trouble.unanswered_since)
        return self.checks["bot"] == "unreachable" and trouble.pause_seconds > 0 and not is_ill


class HealthChecks:
    """Asks Redis, the broker and the heartbeats. Never raises."""

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        publisher: Publisher,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._publisher = publisher
        self._clock = clock
        self._wall_clock = wall_clock
        self._taking = threading.Lock()
        self._recent: Health | None = None
        self._recent_until = float("-inf")  # by the clock
        self._noticed: dict[str, int] = {}
        self._seen: set[str] = set()  # checks that were ok at least once
        self._has_joined = False  # had a lasting connection to Redis at least once
        self._lost_at = 0  # when it was lost: Unix time, in seconds; 0: not lost
        self._rights: tuple[str, tuple[str, ...]] = ("ok", ())  # state, and what is denied
        self._rights_until = float("-inf")  # by the clock
        self._reason = ""
        self._broker = "ok"
        self._broker_until = float("-inf")
        self._channels: tuple[str, ...] = ()  # that the broker denies
        self._channels_until = float("-inf")

    def take_recent(self) -> Health:
        """Make every check, at most once a second for all callers. For a page that anyone may load."""
        with self._taking:
            if self._recent is None or self._clock() >= self._recent_until:
                self._recent = self.take()
                self._recent_until = self._clock() + RECENT_SECONDS
            return self._recent

    def take(self) -> Health:
        """Make every check. A failure of the broker is remembered for a second, the rights for ten."""
        broker = self._check_broker()
        try:
            beats, trouble = read_heartbeats(self._redis, self._keys), read_trouble(self._redis, self._keys)
        except RedisError as error:
            checks = {"redis": _name(error), "broker": broker, "worker": "unknown", "beat": "unknown", "bot": "unknown"}
            self._rights_until = float("-inf")  # look again as soon as it is back
            noticed = self._note(checks)
            denied = _list_denied_by(error)
            return Health(checks, False, [], {}, denied, self._channels, reason=explain(error), noticed=noticed)
        state, denied = self.check_rights()
        checks = {
            "redis": state,
            "broker": broker,
            "worker": _judge_workers(beats),
            "beat": "ok" if beats.has_beat else "missing",
            "bot": _judge_bot(beats, trouble),
        }
        reason = self._reason if state == "away" else ""
        noticed = self._note(checks)
        return Health(checks, True, beats.workers, beats.silent, denied, self._channels, trouble, reason, noticed)

    def note_lost(self) -> None:
        """The process has lost its connection to Redis: the outage may begin here, before anyone makes a check."""
        if self._has_joined:
            self._lost_at = self._lost_at or int(self._wall_clock())

    def note_joined(self) -> None:
        """The process has its connection again."""
        self._has_joined, self._lost_at = True, 0
        self._noticed.pop("redis", None)

    def _note(self, checks: dict[str, str]) -> dict[str, int]:
        """Note since when Redis and the broker fail; a fault that this process has never seen absent began earlier."""
        now = int(self._wall_clock())
        for check, lost_at in (("redis", self._lost_at), ("broker", 0)):
            if checks[check] == "ok":
                self._seen.add(check)
                self._noticed.pop(check, None)
            elif lost_at or check in self._seen:
                self._noticed.setdefault(check, lost_at or now)
        return dict(self._noticed)

    def check_rights(self) -> tuple[str, tuple[str, ...]]:
        """The state of Redis for all that the service does, and the rights that are missing. Logs a new lack."""
        if self._clock() >= self._rights_until:
            try:
                denied = list_denied(self._redis, self._keys)
                found = ("denied" if denied else "ok"), denied
            except RedisError as error:
                found, self._reason = (_name(error), _list_denied_by(error)), explain(error)
            if found[1] and found != self._rights:
                log.critical("🛑 Redis denies this user: %s (docs/operations.md, ACL)", " ".join(found[1]))
            self._rights = found
            self._rights_until = self._clock() + (RIGHTS_SECONDS if found[0] != "away" else BROKER_SECONDS)
        return self._rights

    def _check_broker(self) -> str:
        if self._clock() >= self._broker_until:
            try:
                self._publisher.count_waiting("tick")
                self._check_channels()
                self._broker = "denied" if self._channels else "ok"
            except BROKER_FAILED as error:
                self._broker, self._channels = _name(error), ()
                self._broker_until = self._clock() + BROKER_SECONDS
                self._channels_until = float("-inf")  # look again as soon as it is back
        return self._broker

    def _check_channels(self) -> None:
        """Look at the channels that the broker denies, unless that is known. Logs a new lack."""
        if self._clock() >= self._channels_until:
            denied = list_denied_channels(self._publisher.app)
            if denied and denied != self._channels:
                log.critical("🛑 The broker denies its user: %s (docs/operations.md, ACL)", " ".join(denied))
            self._channels, self._channels_until = denied, self._clock() + RIGHTS_SECONDS


def _judge_workers(beats: Heartbeats) -> str:
    if not beats.workers:
        return "missing"
    return "fewer" if beats.silent else "ok"


def _judge_bot(beats: Heartbeats, trouble: Trouble) -> BotState:
    """Return the state of the bot that the workers tell. If one call fails for every picture, it is unreachable."""
    state = judge_bot(beats.workers)
    return "unreachable" if state == "ok" and trouble.ill else state


def _name(error: BaseException | None) -> str:
    """The word for a failure of Redis or the broker. Celery and kombu wrap the error of the client."""
    while error is not None:
        if isinstance(error, DENIED):
            return "denied"
        error = error.__cause__ or error.__context__
    return "away"


def explain(error: RedisError) -> str:
    """Say in words why Redis refused a command. The text of most errors may contain a URL."""
    return REASONS.get(find_code(error)) or type(error).__name__


def _list_denied_by(error: RedisError) -> tuple[str, ...]:
    if isinstance(error, AuthenticationError):
        return ("the login",)
    return (str(error),) if isinstance(error, NoPermissionError) else ()
