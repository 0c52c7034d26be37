"""The figures that `avatar-warmer diagnose` shows beside its checks: queues, schedule, rates and Redis."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from redis.exceptions import RedisError
from rich.filesize import decimal

from warmer.broker.publish import BROKER_FAILED
from warmer.observe.checks import Health
from warmer.redis_client.cluster import list_infos
from warmer.state.stats import sum_minutes
from warmer.wiring import WorkerContext

BYTES = ("maxmemory", "used_memory", "disk_free")
FROM_INFO = (
    "redis_version",
    "maxmemory_policy",
    "maxmemory",
    "used_memory",
    "evicted_keys",
    "aof_last_write_status",
    "rdb_last_bgsave_status",
)


def read_figures(context: WorkerContext, health: Health) -> dict[str, Any]:
    """Return the state of the service by name. A figure is None if it is unknown, or if Redis does not tell it now."""
    figures: dict[str, Callable[[], Any]] = {
        "workers": lambda: sorted(status.name for status in health.workers),
        "bot": lambda: sorted({status.bot for status in health.workers}) or ["unknown"],
        "pause_seconds": lambda: round(context.budget.get_pause()),
        "halted": context.budget.is_halted,
        "queues": lambda: count_queues(context) if health.checks["broker"] == "ok" else None,
        "due": context.schedule.count,
        "last_hour": lambda: read_rates(context, 60),
        "last_24_hours": lambda: read_rates(context, 1440),
        "listed_partners": lambda: int(context.redis.zcard(context.keys.recent)),
        "redis": lambda: read_server(context),
    }
    return {name: _try(read) for name, read in figures.items()}


def _try(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except RedisError:
        return None


def read_server(context: WorkerContext) -> dict[str, Any]:
    """Return what one server tells of itself: memory, evictions, persistence, and its disk.

    The disk only behind a socket: a port of this machine may lead to another one, or into a container.
    """
    info, redis = list_infos(context.redis, "default")[0], cast(Any, context.redis)
    folder = _try(lambda: redis.config_get("dir").get("dir"))  # CONFIG is often closed
    free = None
    if folder and context.settings.redis_url.startswith("unix:"):
        with suppress(OSError):
            free = shutil.disk_usage(folder).free
    return {name: info.get(name) for name in FROM_INFO} | {"dir": folder, "disk_free": free}


def count_queues(context: WorkerContext) -> dict[str, int] | None:
    """Return the number of waiting messages by queue. Returns None while the broker is away."""
    try:
        return context.publisher.count_all_waiting()
    except BROKER_FAILED:
        return None


def read_rates(context: WorkerContext, minutes: int) -> dict[str, float | int | None]:
    """Return the number of requests, and the shares of hits and errors. A share is None without requests."""
    total = sum_minutes(context.redis, context.keys, minutes)
    looked = total["hits"] + total["misses"]
    return {
        "requests": total["requests"],
        "hit_rate": total["hits"] / looked if looked else None,
        "error_rate": total["errors"] / total["requests"] if total["requests"] else None,
    }


def show_figure(value: Any, name: str = "") -> str:
    """The figure as text; bytes and shares are recognised by name and type."""
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {show_figure(part, name)}" for name, part in value.items())
    if name in BYTES and isinstance(value, int):
        return decimal(value)
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "unknown" if value is None else f"{value:.1%}" if isinstance(value, float) and value <= 1 else str(value)
