"""How workers are seen from outside: by the heartbeat keys that they write, never by a broadcast."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from redis import Redis

from warmer.keys import Keys

BotState = Literal["ok", "unauthorized", "logged_out", "unreachable", "unknown"]


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker, as it said within the last 15 s."""

    name: str
    bot: BotState = "unknown"
    bot_name: str = ""
    bot_username: str = ""


def list_worker_statuses(redis: Redis, keys: Keys) -> list[WorkerStatus]:
    """The workers that are alive, in two round trips."""
    members: list[Any] = redis.zrange(keys.workers, 0, -1)
    names = [member.decode() for member in members]
    values = redis.mget([keys.worker(name) for name in names]) if names else []
    return [_read(value) for value in values if value]


def _read(value: bytes | str) -> WorkerStatus:
    """What another release may have written: fields that we do not know are left out."""
    said = json.loads(value)
    return WorkerStatus(**{name: said[name] for name in WorkerStatus.__dataclass_fields__ if name in said})


def judge_bot(statuses: Iterable[WorkerStatus]) -> BotState:
    """The state of the bot, as the workers say together: what Telegram refuses outweighs all, one answer the rest."""
    said = {pulse.bot for pulse in statuses}
    order: tuple[BotState, ...] = ("unauthorized", "logged_out", "ok", "unreachable")
    return next((state for state in order if state in said), "unknown")
