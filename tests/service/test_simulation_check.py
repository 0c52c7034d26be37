"""The simulation beside the running service: the counts. `scripts/simulate --check` compares the seconds."""

from __future__ import annotations

from planning.check import compare
from planning.costs import load_costs
from planning.real import open_service, run_trial
from planning.trial import Trial, simulate

TRIAL = Trial(missed=100, warmed=60, flood_seconds=3, telegram_rate=20)
COUNTED = ("miss_calls", "warm_calls")
ALLOWED = 0.25  # retried calls count, too


def test_the_service_calls_telegram_as_often_as_the_simulation_predicts() -> None:
    with open_service(TRIAL, runs=1) as running:
        real = run_trial(TRIAL, running)
    compared = {one.figure: one for one in compare(real, simulate(TRIAL, load_costs()))}
    assert [compared[name] for name in COUNTED if not compared[name].holds(ALLOWED)] == []
    assert real["flood_served"] > 0
