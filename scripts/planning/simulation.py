"""One run: everything is put together, and time passes."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import simpy

from planning.crew import Crew
from planning.front import WebContext
from planning.ledger import Ledger
from planning.popularity import Popularity
from planning.setup import Setup
from planning.stock import Stock

SEED = 20_260_725


@dataclass(frozen=True)
class World:
    """The parts of a run."""

    env: simpy.Environment
    setup: Setup
    stock: Stock
    crew: Crew
    front: WebContext
    ledger: Ledger


def build_world(setup: Setup, seed: int = SEED) -> World:
    """The parts at instant 0."""
    env, chance = simpy.Environment(), np.random.default_rng(seed)
    popularity = Popularity(setup.pictures, setup.zipf)
    stock, ledger = Stock(setup, popularity, chance), Ledger(env, setup.seconds, setup.slice_seconds)
    crew = Crew(env, setup, stock, ledger, chance)
    front = WebContext(env, setup, stock, crew, ledger, popularity, chance)
    if setup.loss_at >= 0:
        env.process(_lose_shard(env, setup, stock))
    return World(env, setup, stock, crew, front, ledger)


def play(setup: Setup, seed: int = SEED) -> Ledger:
    """Let the time of the setup pass; the same seed gives the same run."""
    world = build_world(setup, seed)
    world.env.run(until=setup.seconds)
    return world.ledger


def play_until(world: World, is_over: Callable[[], bool], step: float = 0.01) -> float:
    """Let time pass until it is over; the seconds that took. Raises TimeoutError after the setup's time."""
    while not is_over():
        if world.env.now > world.setup.seconds:
            raise TimeoutError(f"not over after {world.setup.seconds:g} simulated seconds")
        world.env.run(until=world.env.now + step)
    return float(world.env.now)


def _lose_shard(env: simpy.Environment, setup: Setup, stock: Stock) -> Generator[simpy.Event, Any, None]:
    yield env.timeout(setup.loss_at + setup.loss_seconds)
    if not setup.is_replicated:
        stock.lose(0)
