"""Ranks the assumptions by their influence on the plan: halves and doubles each one alone."""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

from planning.costs import Costs
from planning.inputs import VIEWS_PER_PARTNER, BadInput, Inputs, read_inputs
from planning.model import Plan, make_plan

RESULTS = {
    "redis_total_gb": "Redis memory",
    "redis_commands": "Redis commands",
    "web_cores": "web cores",
    "telegram_calls": "calls to Telegram",
    "network_out_mbit": "network to clients",
}


@dataclass(frozen=True)
class Influence:
    """The effect of doubling an input: `change` is the factor on `result`."""

    name: str
    value: float
    result: str
    change: float
    weight: float  # doublings of all results together, for half and double the input


def rank_inputs(given: Inputs, costs: Costs, number: int = 3) -> list[Influence]:
    """The inputs with the largest influence on the plan, largest first."""
    known = given.model_dump()
    known["views_per_day"] = given.views_per_day or VIEWS_PER_PARTNER * given.partners
    known["variant_bytes"] = given.variant_bytes or costs.memory.variant_bytes
    base = make_plan(read_inputs(**known), costs)
    assumed = [name for name in known if known[name] and name not in ("partners", "busy", "redis_headroom")]
    found = [_measure(name, known, base, costs) for name in assumed]
    return sorted(found, key=lambda one: (-one.weight, one.name))[:number]


def _measure(name: str, known: dict[str, float], base: Plan, costs: Costs) -> Influence:
    doubled = dict.fromkeys(RESULTS, 1.0)
    weight = 0.0
    for factor in (0.5, 2.0):
        value = known[name] * factor
        try:
            plan = make_plan(read_inputs(**{**known, name: type(known[name])(value)}), costs)
        except BadInput:  # outside its range
            continue
        ratios = {result: getattr(plan, result) / getattr(base, result) for result in RESULTS}
        weight += sum(abs(log2(ratio)) for ratio in ratios.values())
        doubled = ratios if factor > 1 else {result: 1 / ratio for result, ratio in ratios.items()}
    strongest = max(RESULTS, key=lambda result: abs(log2(doubled[result])))
    return Influence(name, known[name], strongest, doubled[strongest], weight)
