"""Three small scenarios for both the running service and the simulation, and the figures to compare."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import simpy

from benches.service import BATCH
from planning.costs import Costs
from planning.setup import Setup
from planning.simulation import SEED, Simulation, build_simulation, run_until
from warmer.worker.beat_rounds import TICK_SECONDS

PATIENCE = 120.0  # seconds
FIGURES = {
    "miss_seconds": "misses: seconds until all clients are served",
    "miss_p50": "misses: seconds a client waits, p50",
    "miss_calls": "misses: calls to Telegram",  # getFile and downloads
    "miss_queue": "misses: most messages in the hot queue",
    "warm_seconds": "warming ahead: seconds until all are stored",
    "warm_calls": "warming ahead: calls to Telegram",
    "warm_due": "warming ahead: most pictures in the schedule",
    "flood_served": "flood: requests that get their picture",
    "flood_p50": "flood: seconds these wait, p50",
}
Figures = dict[str, float]


@dataclass(frozen=True)
class Trial:
    """Cold pictures: clients request one at a time, a backend warms many at once, and a flood requests each once."""

    clients: int = 24
    missed: int = 240  # pictures that the clients request
    warmed: int = 240  # pictures that the backend warms
    flood: float = 60.0  # pictures per second of the flood, each requested once
    flood_seconds: float = 8.0
    telegram_rate: float = 30.0
    hot_max: int = 24
    latency: float = 0.1  # seconds per call
    threads: int = 8  # of the only worker

    @property
    def flooded(self) -> int:
        """The pictures of the flood."""
        return int(self.flood * self.flood_seconds)


def median_of(runs: list[Figures]) -> Figures:
    """The median of each figure."""
    return {name: median(run[name] for run in runs) for name in FIGURES}


def simulate(trial: Trial, costs: Costs, seed: int = SEED) -> Figures:
    """Run each scenario in its own simulation, which starts at a random instant within a tick."""
    rng = np.random.default_rng(seed)
    missed, warmed, flooded = (_start(trial, costs, seed, rng.uniform(0, TICK_SECONDS)) for _ in range(3))
    return {
        "miss_seconds": _let_clients_ask(missed, trial),
        "miss_p50": missed.timeline.percentile(50),
        "miss_calls": _count_calls(missed),
        "miss_queue": missed.timeline.highest("hot"),
        "warm_seconds": _let_backend_ask(warmed, trial, costs),
        "warm_calls": _count_calls(warmed),
        "warm_due": warmed.timeline.highest("due"),
        "flood_served": _let_flood_come(flooded, trial),
        "flood_p50": flooded.timeline.percentile(50),
    }


def _start(trial: Trial, costs: Costs, seed: int, seconds: float) -> Simulation:
    """A simulation with the trial's settings, after some seconds without requests."""
    setup = Setup(
        seconds=PATIENCE,
        pictures=max(trial.missed, trial.warmed, trial.flooded),
        is_cold=True,
        rewarm_partners=0,
        warm_first=0,
        telegram_rate=trial.telegram_rate,
        hot_max=trial.hot_max,
        worker_processes=1,
        threads=trial.threads,
        call_seconds=trial.latency,
        download_seconds=trial.latency,
        task_seconds=(costs.warming.worker_us + costs.miss.web_us) * 1e-6,
        spread=0.0,
    )
    simulation = build_simulation(setup, seed)
    simulation.env.run(until=0.01 + seconds)
    return simulation


def _let_clients_ask(simulation: Simulation, trial: Trial) -> float:
    started, left, served = simulation.env.now, list(range(trial.missed)), []

    def work() -> Generator[simpy.Event, Any, None]:
        while left:
            picture, answered = left.pop(), simulation.env.event()
            simulation.web.miss(picture, lambda was_served, answered=answered: answered.succeed(was_served))  # type: ignore[misc]  # bound now
            if (yield answered):
                served.append(picture)
            else:
                left.append(picture)

    for _ in range(trial.clients):
        simulation.env.process(work())
    return run_until(simulation, lambda: len(served) == trial.missed) - started


def _let_backend_ask(simulation: Simulation, trial: Trial, costs: Costs) -> float:
    started = simulation.env.now

    def work() -> Generator[simpy.Event, Any, None]:
        for start in range(0, trial.warmed, BATCH):
            batch = range(start, min(start + BATCH, trial.warmed))
            yield simulation.env.timeout(len(batch) * costs.warming.web_us * 1e-6)
            simulation.workers.ask_all(batch)
            simulation.timeline.peak("due", len(simulation.workers.schedule))

    simulation.env.process(work())
    is_stored: Callable[[], bool] = lambda: bool(  # noqa: E731 - one look, spelled once
        simulation.photos.are_stored(np.arange(trial.warmed), simulation.env.now).all()
    )
    return run_until(simulation, is_stored) - started


def _let_flood_come(simulation: Simulation, trial: Trial) -> int:
    answers: list[bool] = []

    def work() -> Generator[simpy.Event, Any, None]:
        for picture in range(trial.flooded):
            simulation.web.miss(picture, answers.append)
            yield simulation.env.timeout(1 / trial.flood)

    simulation.env.process(work())
    run_until(simulation, lambda: len(answers) == trial.flooded)
    return sum(answers)


def _count_calls(simulation: Simulation) -> int:
    return simulation.timeline.total("getFile") + simulation.timeline.total("download")
