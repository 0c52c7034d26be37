"""Answers the questions of `diagnose` about Redis itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

from packaging.version import Version
from redis.exceptions import RedisError
from rich.filesize import decimal

from warmer.observe.checks import Health, explain
from warmer.redis_client.cluster import list_infos
from warmer.wiring import WorkerContext

T = TypeVar("T")
REDIS_MIN = Version("6.2")
CLOCK_SECONDS = 5.0  # sign-ins and look-ups are compared with clocks; minutes would matter
VERSION = f"Is Redis {REDIS_MIN} or newer?"
POLICY = "Is the eviction policy safe?"
ROOM = "Does Redis have room for writes?"
CLOCK = "Do this machine's clock and Redis' agree?"
DISK_STATUSES = ("aof_last_write_status", "rdb_last_bgsave_status")  # of INFO


@dataclass(frozen=True)
class Check:
    """The answer to one question. A wrong one is something for an operator to do, a noted one may be normal."""

    question: str
    state: Literal["ok", "wrong", "noted", "unknown"]
    answer: str


def answer_question(question: str, answer: Callable[[], Iterable[T]]) -> list[T | Check]:
    """Return the findings. If Redis fails meanwhile, the question is unknown, with the reason."""
    try:
        return list(answer())
    except RedisError as error:
        return [Check(question, "unknown", f"Redis does not tell: {explain(error)}")]


def check_redis(context: WorkerContext, health: Health) -> Iterator[Check]:
    """Its version, its eviction policy, its room, and its clock."""
    yield from answer_question(VERSION, lambda: [check_version(context)])
    yield from answer_question(POLICY, lambda: [check_policy(context)])
    yield from answer_question(ROOM, lambda: [check_room(context, health)])
    yield from answer_question(CLOCK, lambda: [check_clock(context)])


def check_room(context: WorkerContext, health: Health) -> Check:
    """Memory and disk, as the servers tell them. A cache that is full and evicts pictures is fine."""
    infos = list_infos(context.redis, "default")
    used, evicted = (sum(int(info.get(name, 0)) for info in infos) for name in ("used_memory", "evicted_keys"))
    limit = sum(int(info.get("maxmemory", 0)) for info in infos)
    wrong = health.reason if health.checks["redis"] == "away" else ""
    if any(info.get(name, "ok") != "ok" for info in infos for name in DISK_STATUSES):
        wrong = wrong or "it cannot write to its disk"
    told = f"{decimal(used)} of {decimal(limit) if limit else 'any amount'}, {evicted} keys evicted"
    return Check(ROOM, "wrong" if wrong else "ok", f"{wrong}: {told}" if wrong else told)


def check_policy(context: WorkerContext) -> Check:
    # CONFIG is often closed, INFO is not.
    found = {(info.get("maxmemory_policy", "?"), info.get("maxmemory")) for info in list_infos(context.redis, "memory")}
    is_safe = all(limit == 0 or policy.startswith("volatile-") for policy, limit in found)
    told = "; ".join(f"{policy}, maxmemory {limit}" for policy, limit in sorted(found, key=str))
    return Check(POLICY, "ok" if is_safe else "wrong", told)


def check_version(context: WorkerContext) -> Check:
    # Valkey names the Redis that it is like.
    oldest = min(Version(str(info.get("redis_version", "0"))) for info in list_infos(context.redis, "server"))
    return Check(VERSION, "ok" if oldest >= REDIS_MIN else "wrong", str(oldest))


def check_clock(context: WorkerContext) -> Check:
    started = time.time()
    seconds, micros = context.redis.time()
    apart = abs(seconds + micros / 1e6 - (started + time.time()) / 2)
    state: Literal["ok", "wrong"] = "ok" if apart <= CLOCK_SECONDS else "wrong"
    return Check(CLOCK, state, f"{apart:.1f} s apart")
