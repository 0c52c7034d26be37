"""Reads the status that workers write with their heartbeat; no broadcast is involved."""

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
    """One worker, as of its heartbeat in the last 15 s."""

    name: str
    bot: BotState = "unknown"
    bot_name: str = ""
    bot_username: str = ""


def list_worker_statuses(redis: Redis, keys: Keys) -> list[WorkerStatus]:
    """Returns the live workers, in two round trips."""
    members: list[Any] = redis.zrange(keys.workers, 0, -1)
    names = [member.decode() for member in members]
    values = redis.mget([keys.worker(name) for name in names]) if names else []
    return [_read(value) for value in values if value]


def _read(value: bytes | str) -> WorkerStatus:
    """A newer release may have written fields that this one does not know: they are ignored."""
    said = json.loads(value)
    return WorkerStatus(**{name: said[name] for name in WorkerStatus.__dataclass_fields__ if name in said})


def judge_bot(statuses: Iterable[WorkerStatus]) -> BotState:
    """Combine what the workers say of the bot: a refusal outweighs everything, and success outweighs the rest."""
    said = {status.bot for status in statuses}
    order: tuple[BotState, ...] = ("unauthorized", "logged_out", "ok", "unreachable")
    return next((state for state in order if state in said), "unknown")
