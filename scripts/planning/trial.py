"""Three small scenarios that the running service and the simulation both go through, and what is compared."""

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
from planning.simulation import SEED, World, build_world, play_until
from warmer.worker.rounds import TICK_SECONDS

PATIENCE = 120.0  # seconds


@dataclass(frozen=True)
class Trial:
    """Cold pictures, asked for by clients that wait for one at a time, by a backend all at once, and in a flood."""

    clients: int = 24
    missed: int = 240  # pictures that the clients ask for
    warmed: int = 240  # pictures that the backend asks for
    flood: float = 60.0  # pictures a second that a flood asks for, each one once
    flood_seconds: float = 8.0
    telegram_rate: float = 30.0
    hot_max: int = 24
    latency: float = 0.1  # seconds of a call
    threads: int = 8  # of the one worker

    @property
    def flooded(self) -> int:
        """Pictures that the flood asks for."""
        return int(self.flood * self.flood_seconds)


@dataclass(frozen=True)
class Figures:
    """What a run has shown."""

    miss_seconds: float  # until the clients have all pictures
    miss_p50: float  # seconds that a client waits
    miss_calls: int  # getFile and downloads
    miss_queue: int  # most messages in the hot queue
    warm_seconds: float  # until the backend's pictures are all stored
    warm_calls: int
    warm_due: int  # most pictures with a turn
    flood_served: int  # requests of the flood that got their picture, the others 503
    flood_p50: float  # seconds that these waited


def median_of(runs: list[Figures]) -> Figures:
    """The median of each figure."""
    return Figures(**{name: median(getattr(run, name) for run in runs) for name in Figures.__dataclass_fields__})


def simulate(trial: Trial, costs: Costs, seed: int = SEED) -> Figures:
    """Each scenario in a world of its own that has rested a part of a tick."""
    chance = np.random.default_rng(seed)
    missed, warmed, flooded = (_rest(trial, costs, seed, chance.uniform(0, TICK_SECONDS)) for _ in range(3))
    miss_seconds = _let_clients_ask(missed, trial)
    warm_seconds = _let_backend_ask(warmed, trial, costs)
    flood_served = _let_flood_come(flooded, trial)
    return Figures(
        miss_seconds=miss_seconds,
        miss_p50=missed.ledger.percentile(50),
        miss_calls=_count_calls(missed),
        miss_queue=int(missed.ledger.highest("hot")),
        warm_seconds=warm_seconds,
        warm_calls=_count_calls(warmed),
        warm_due=int(warmed.ledger.highest("due")),
        flood_served=flood_served,
        flood_p50=flooded.ledger.percentile(50),
    )


def _rest(trial: Trial, costs: Costs, seed: int, seconds: float) -> World:
    """A world as the trial wants it, after so many seconds without anything to do."""
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
    world = build_world(setup, seed)
    world.env.run(until=0.01 + seconds)
    return world


def _let_clients_ask(world: World, trial: Trial) -> float:
    started, left, served = world.env.now, list(range(trial.missed)), []

    def work() -> Generator[simpy.Event, Any, None]:
        while left:
            picture, news = left.pop(), world.env.event()
            world.front.miss(picture, lambda was_served, news=news: news.succeed(was_served))  # type: ignore[misc]  # bound now
            if (yield news):
                served.append(picture)
            else:
                left.append(picture)

    for _ in range(trial.clients):
        world.env.process(work())
    return play_until(world, lambda: len(served) == trial.missed) - started


def _let_backend_ask(world: World, trial: Trial, costs: Costs) -> float:
    started = world.env.now

    def work() -> Generator[simpy.Event, Any, None]:
        for start in range(0, trial.warmed, BATCH):
            batch = range(start, min(start + BATCH, trial.warmed))
            yield world.env.timeout(len(batch) * costs.warming.web_us * 1e-6)
            world.crew.ask_all(batch)
            world.ledger.peak("due", len(world.crew.duties))

    world.env.process(work())
    is_stored: Callable[[], bool] = lambda: bool(  # noqa: E731 - one look, spelled once
        world.stock.are_stored(np.arange(trial.warmed), world.env.now).all()
    )
    return play_until(world, is_stored) - started


def _let_flood_come(world: World, trial: Trial) -> int:
    answers: list[bool] = []

    def work() -> Generator[simpy.Event, Any, None]:
        for picture in range(trial.flooded):
            world.front.miss(picture, answers.append)
            yield world.env.timeout(1 / trial.flood)

    world.env.process(work())
    play_until(world, lambda: len(answers) == trial.flooded)
    return sum(answers)


def _count_calls(world: World) -> int:
    return world.ledger.total("getFile") + world.ledger.total("download")
