"""Compares the simulation with the running service: medians of five runs each, which may differ by a quarter."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from planning.costs import FOLDER, Costs
from planning.real import open_service, run_trial
from planning.simulation import SEED
from planning.trial import FIGURES, Figures, Trial, median_of, simulate

RUNS = 5
ALLOWED = 0.25  # share of the real figure
FILE = FOLDER / "check.json"


@dataclass(frozen=True)
class Comparison:
    """One figure of the service and of the simulation."""

    figure: str
    real: float
    simulated: float

    @property
    def difference(self) -> float:
        """Share of the real figure."""
        return self.simulated / self.real - 1

    def holds(self, allowed: float = ALLOWED) -> bool:
        """Returns True if the figures differ by at most this share."""
        return abs(self.difference) <= allowed


def compare(real: Figures, simulated: Figures) -> list[Comparison]:
    """Compare each figure."""
    return [Comparison(name, real[name], simulated[name]) for name in FIGURES]


def check(costs: Costs, say: Callable[[str], None], trial: Trial | None = None, runs: int = RUNS) -> list[Comparison]:
    """Run both this many times, and compare the medians."""
    trial = trial or Trial()
    real = []
    with open_service(trial, runs) as running:
        for number in range(runs):
            say(f"The running service, {number + 1} of {runs}…")
            real.append(run_trial(trial, running))
    return compare(median_of(real), median_of([simulate(trial, costs, SEED + number) for number in range(runs)]))


def save(comparisons: list[Comparison], file: Path = FILE) -> None:
    """Write the comparisons to the file."""
    lines = [asdict(one) | {"difference": one.difference, "holds": one.holds()} for one in comparisons]
    record = {"trial": asdict(Trial()), "runs": RUNS, "allowed": ALLOWED, "figures": lines}
    file.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def show(one: Comparison) -> str:
    """A comparison as one line of text."""
    verdict = "holds" if one.holds() else "MISS"
    return f"{one.figure:>13}  real {one.real:8.3f}  simulated {one.simulated:8.3f}  {one.difference:+.1%}  {verdict}"
