"""Runs of the simulation are told apart by their figures."""

from __future__ import annotations

from dataclasses import replace

from planning.check import compare
from planning.costs import load_costs
from planning.trial import Trial, simulate

TRIAL = Trial(missed=100, warmed=60, flood_seconds=3, telegram_rate=20)
ALLOWED = 0.45


def test_a_simulation_of_another_rate_is_told_from_this_one() -> None:
    costs = load_costs()
    right, wrong = (simulate(trial, costs) for trial in (TRIAL, replace(TRIAL, telegram_rate=8.0)))
    off = {one.figure for one in compare(right, wrong) if not one.holds(ALLOWED)}
    assert {"miss_seconds", "flood_served"} <= off
