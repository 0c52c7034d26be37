"""Prints the plan as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benches.results import show_number as show
from planning.inputs import Inputs
from planning.model import Plan
from planning.sensitivity import RESULTS, Influence

Line = tuple[str, str, str]


def list_lines(plan: Plan, given: Inputs) -> list[Line]:
    """The lines of the plan: a name, a figure with its unit, a remark."""
    rate = "" if plan.is_rate_enough else f"TELEGRAM_RATE is {given.telegram_rate:g}: too low, or PHOTO_TTL too short"
    cold = "" if plan.can_all_be_warm else "longer than PHOTO_TTL: never all at once"
    each = show(plan.redis_commands / plan.redis_shards)
    copies = f"{given.replicas} replica{'' if given.replicas == 1 else 's'} each"
    return [
        ("requests for pictures", f"{show(plan.requests)} /s", "at the peak"),
        ("hits", f"{plan.hit_ratio:.2%}", f"{plan.cache_ratio:.0%} of them without Redis"),
        ("pictures stored", show(plan.stored_pictures), f"of {show(given.partners)}"),
        ("Redis memory in use", f"{show(plan.redis_gb)} GB", "one copy"),
        ("Redis memory to buy", f"{show(plan.redis_total_gb)} GB", f"headroom {given.redis_headroom:g}, {copies}"),
        ("Redis shards", str(plan.redis_shards), f"{plan.redis_servers} servers, up to {given.shard_gb:g} GB each"),
        ("Redis commands", f"{show(plan.redis_commands)} /s", f"{each} per shard"),
        ("web processes", str(plan.web_processes), f"{show(plan.web_cores)} cores"),
        ("worker processes", str(plan.worker_processes), f"{show(plan.worker_cores)} cores"),
        ("machines for them", str(plan.machines), f"of {given.machine_cores} cores"),
        ("network to clients", f"{show(plan.network_out_mbit)} Mbit/s", ""),
        ("network from Telegram", f"{show(plan.network_in_mbit)} Mbit/s", ""),
        ("network out of Redis", f"{show(plan.redis_out_mbit)} Mbit/s", ""),
        ("calls to Telegram", f"{show(plan.telegram_calls)} /s", "methods, without downloads"),
        ("TELEGRAM_RATE needed", f"{show(plan.telegram_rate_needed)} /s", rate),
        ("everything cold to warm", f"{show(plan.cold_hours)} h", cold),
        ("renewals", f"{show(plan.renewals)} /s", "without a call"),
    ]


def print_plan(plan: Plan, given: Inputs, influences: Sequence[Influence], console: Console) -> None:
    """Print the table, and the assumptions with the largest influence."""
    table = Table(title=f"{given.partners:,} partners", title_justify="left")
    table.add_column("needed")
    table.add_column("figure", justify="right")
    table.add_column("")
    for line in list_lines(plan, given):
        table.add_row(*line)
    console.print(table)
    console.print("The assumptions with the largest influence:")
    for place, one in enumerate(influences, 1):
        console.print(f"  {place}. {describe(one)}", highlight=False)


def describe(one: Influence) -> str:
    """The effect of doubling the input, in one line."""
    option = "--" + one.name.replace("_", "-")
    return (
        f"{option} (now {show(one.value)}): doubling it changes {RESULTS[one.result]} by a factor of {one.change:.2f}"
    )
