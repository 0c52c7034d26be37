"""Reads the status that workers and beat write with their heartbeats; no broadcast is involved."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from redis import Redis

from warmer.keys import Keys

BEAT_SECONDS = 5  # between two heartbeats
SEEN_SECONDS = 3600  # for so long a worker that fell silent is missed
BotState = Literal["ok", "unauthorized", "logged_out", "unreachable", "unknown"]


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker, as of its heartbeat in the last 15 s."""

    name: str
    bot: BotState = "unknown"
    bot_name: str = ""
    bot_username: str = ""
    threads: int = 0  # 0: of an older release, which warms only the first subject of a message


@dataclass(frozen=True, slots=True)
class Heartbeats:
    """Every heartbeat at one moment."""

    workers: list[WorkerStatus]
    # Workers that ended without a goodbye within the hour, and that no later worker replaces, by name; Unix time of
    # their last heartbeats, in seconds.
    silent: dict[str, int]
    has_beat: bool


def list_worker_statuses(redis: Redis, keys: Keys) -> list[WorkerStatus]:
    """Returns the live workers, in two round trips."""
    return read_heartbeats(redis, keys).workers


def read_heartbeats(redis: Redis, keys: Keys) -> Heartbeats:
    """Returns the live workers, the silent ones, and whether beat is alive; in two round trips."""
    members: list[Any] = redis.zrange(keys.workers, 0, -1, withscores=True)
    last_beats = {member.decode(): score for member, score in members}
    kinds = (keys.worker, keys.started)
    *values, beat = redis.mget([*(of(name) for of in kinds for name in last_beats), keys.beat])
    alive = {name: _read(value) for name, value in zip(last_beats, values, strict=False) if value}
    starts = {name: int(start) for name, start in zip(last_beats, values[len(last_beats) :], strict=True) if start}
    gone = {name: last for name, last in last_beats.items() if name not in alive}
    return Heartbeats(list(alive.values()), _list_silent(gone, starts), bool(beat))


def _list_silent(gone: dict[str, float], starts: dict[str, int]) -> dict[str, int]:
    """Return the workers without a successor: each worker replaces one that was last heard before it started.

    A successor may be gone, too: then it needs one of its own.
    """
    left, silent = dict(starts), {}
    for name, last_beat in sorted(gone.items(), key=lambda one: one[1], reverse=True):
        successors = [other for other, start in left.items() if start >= last_beat and other != name]
        if successors:
            del left[successors[0]]
        else:
            silent[name] = int(last_beat)
    return silent


def _read(value: bytes | str) -> WorkerStatus:
    """Read a heartbeat. Fields of a newer release are ignored."""
    said = json.loads(value)
    return WorkerStatus(**{name: said[name] for name in WorkerStatus.__dataclass_fields__ if name in said})


def judge_bot(statuses: Iterable[WorkerStatus]) -> BotState:
    """Combine what the workers say of the bot: a refusal outweighs everything, and success outweighs the rest."""
    said = {status.bot for status in statuses}
    order: tuple[BotState, ...] = ("unauthorized", "logged_out", "ok", "unreachable")
    return next((state for state in order if state in said), "unknown")
