"""Puts the parts of a run together, and lets simulated time pass."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import simpy

from planning.photos import PhotoStore
from planning.popularity import Popularity
from planning.setup import Setup
from planning.timeline import Timeline
from planning.web_tier import WebTier
from planning.workers import Workers

SEED = 20_260_725


@dataclass(frozen=True)
class Simulation:
    """The parts of a run."""

    env: simpy.Environment
    setup: Setup
    photos: PhotoStore
    workers: Workers
    web: WebTier
    timeline: Timeline


def build_simulation(setup: Setup, seed: int = SEED) -> Simulation:
    """Build the parts at instant 0."""
    env, rng = simpy.Environment(), np.random.default_rng(seed)
    popularity = Popularity(setup.pictures, setup.zipf)
    photos, timeline = PhotoStore(setup, popularity, rng), Timeline(env, setup.seconds, setup.slice_seconds)
    workers = Workers(env, setup, photos, timeline, rng)
    web = WebTier(env, setup, photos, workers, timeline, popularity, rng)
    if setup.loss_at >= 0:
        env.process(_lose_shard(env, setup, photos))
    return Simulation(env, setup, photos, workers, web, timeline)


def run_simulation(setup: Setup, seed: int = SEED) -> Timeline:
    """Run for the seconds of the setup; the same seed gives the same run."""
    simulation = build_simulation(setup, seed)
    simulation.env.run(until=setup.seconds)
    return simulation.timeline


def run_until(simulation: Simulation, is_over: Callable[[], bool], step: float = 0.01) -> float:
    """Run until `is_over`; the instant in seconds. Raises TimeoutError after the seconds of the setup."""
    while not is_over():
        if simulation.env.now > simulation.setup.seconds:
            raise TimeoutError(f"not over after {simulation.setup.seconds:g} simulated seconds")
        simulation.env.run(until=simulation.env.now + step)
    return float(simulation.env.now)


def _lose_shard(env: simpy.Environment, setup: Setup, photos: PhotoStore) -> Generator[simpy.Event, Any, None]:
    yield env.timeout(setup.loss_at + setup.loss_seconds)
    if not setup.is_replicated:
        photos.lose(0)
