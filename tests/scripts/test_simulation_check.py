"""The simulation beside the running service: a short version of `scripts/simulate --check`."""

from __future__ import annotations

from dataclasses import replace

from planning.check import compare
from planning.costs import load_costs
from planning.real import open_ground, run_trial
from planning.trial import Trial, median_of, simulate

TRIAL = Trial(missed=100, warmed=60, flood_seconds=3, telegram_rate=20)
ALLOWED = 0.45  # of one run on a machine that does other things, too


def test_the_service_does_what_the_simulation_says() -> None:
    costs = load_costs()
    with open_ground(TRIAL, runs=1) as ground:
        real = run_trial(TRIAL, ground)
    simulated = median_of([simulate(TRIAL, costs, seed) for seed in range(3)])
    assert [one for one in compare(real, simulated) if not one.holds(ALLOWED)] == []


def test_a_simulation_of_another_rate_is_told_from_this_one() -> None:
    costs = load_costs()
    right, wrong = (simulate(trial, costs) for trial in (TRIAL, replace(TRIAL, telegram_rate=8.0)))
    off = {one.figure for one in compare(right, wrong) if not one.holds(ALLOWED)}
    assert {"miss_seconds", "flood_served"} <= off
