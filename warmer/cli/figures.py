"""The figures that `avatar-warmer diagnose` shows beside its checks: queues, schedule, rates and Redis."""

from __future__ import annotations

from typing import Any

from rich.filesize import decimal

from warmer.broker.publish import BROKER_FAILED
from warmer.observe.checks import Health
from warmer.redis_client.cluster import list_infos
from warmer.state.stats import sum_minutes
from warmer.wiring import WorkerContext

BYTES = ("maxmemory", "used_memory")


def read_figures(context: WorkerContext, health: Health) -> dict[str, Any]:
    """The state of the service by name; None for an unknown figure."""
    info: dict[str, Any] = {
        **list_infos(context.redis, "server")[0],
        **list_infos(context.redis, "memory")[0],
    }  # of one node
    return {
        "workers": sorted(status.name for status in health.workers),
        "bot": sorted({status.bot for status in health.workers}) or ["unknown"],
        "pause_seconds": round(context.budget.get_pause()),
        "halted": context.budget.is_halted(),
        "queues": count_queues(context) if health.checks["broker"] == "ok" else None,
        "due": context.schedule.count(),
        "last_hour": read_rates(context, 60),
        "last_24_hours": read_rates(context, 1440),
        "listed_partners": int(context.redis.zcard(context.keys.recent)),
        "redis": {name: info.get(name) for name in ("redis_version", "maxmemory_policy", "maxmemory", "used_memory")},
    }


def count_queues(context: WorkerContext) -> dict[str, int] | None:
    """Waiting messages by queue, None while the broker is away."""
    try:
        return context.publisher.count_all_waiting()
    except BROKER_FAILED:
        return None


def read_rates(context: WorkerContext, minutes: int) -> dict[str, float | int | None]:
    """Requests, and the shares of hits and errors; None where nothing was asked."""
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
