"""`avatar-warmer status`"""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from warmer.broker.publish import BROKER_FAILED
from warmer.cli.common import as_json, echo_json, opened_workshop
from warmer.redis_client.cluster import list_infos
from warmer.state.stats import sum_minutes
from warmer.state.workers import list_pulses
from warmer.wiring import Workshop

BYTES = ("maxmemory", "used_memory")


@click.command()
@as_json
def status(is_json: bool) -> None:
    """Show workers, bot, queues, rates and Redis on one screen.

    \b
    Example:
      avatar-warmer status --json
    """
    with opened_workshop() as shop:
        figures = read_figures(shop)
    if is_json:
        echo_json(figures)
        return
    table = Table("what", "now", title="avatar-warmer")
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), _show(value))
    Console().print(table)


def read_figures(shop: Workshop) -> dict[str, Any]:
    """What is going on, by name."""
    pulses = list_pulses(shop.redis, shop.keys)
    info: dict[str, Any] = {**list_infos(shop.redis, "server")[0], **list_infos(shop.redis, "memory")[0]}  # of one node
    return {
        "workers": [pulse.name for pulse in pulses],
        "bot": sorted({pulse.bot for pulse in pulses}) or ["unknown"],
        "pause_seconds": round(shop.budget.get_pause()),
        "halted": shop.budget.is_halted(),
        "queues": count_queues(shop),
        "due": shop.due.count(),
        "last_hour": read_rates(shop, 60),
        "last_24_hours": read_rates(shop, 1440),
        "listed_partners": int(shop.redis.zcard(shop.keys.recent)),
        "redis": {name: info.get(name) for name in ("redis_version", "maxmemory_policy", "maxmemory", "used_memory")},
    }


def count_queues(shop: Workshop) -> dict[str, int] | None:
    """Waiting messages by queue, None while the broker is away."""
    try:
        return shop.publisher.count_all_waiting()
    except BROKER_FAILED:
        return None


def read_rates(shop: Workshop, minutes: int) -> dict[str, float | int | None]:
    """Requests, and the shares of hits and errors; None where nothing was asked."""
    total = sum_minutes(shop.redis, shop.keys, minutes)
    looked = total["hits"] + total["misses"]
    return {
        "requests": total["requests"],
        "hit_rate": total["hits"] / looked if looked else None,
        "error_rate": total["errors"] / total["requests"] if total["requests"] else None,
    }


def _show(value: Any, name: str = "") -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_show(part, name)}" for name, part in value.items())
    if name in BYTES and isinstance(value, int):
        return decimal(value)
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "unknown" if value is None else f"{value:.1%}" if isinstance(value, float) and value <= 1 else str(value)
