"""The record of a simulated run: counts, waits and peaks in slices of time."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import simpy

Refusal = Literal["places", "queue", "late", "postponed", "shard", "web"]
REFUSALS: dict[Refusal, str] = {
    "places": "too many waiting requests",
    "queue": "HOT_MAX messages wait",
    "late": "not ready within PHOTO_WAIT",
    "postponed": "no token, or a pause",
    "shard": "the shard is away",
    "web": "the web processes are full",
}


@dataclass
class Slice:
    """One slice of a run."""

    counts: Counter[str] = field(default_factory=Counter)  # hits, misses, calls, and each refusal
    waits: list[float] = field(default_factory=list)  # seconds of each served miss
    peaks: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def hit_ratio(self) -> float:
        """Share of all requests."""
        return self.counts["hits"] / max(1, self.counts["hits"] + self.counts["misses"])


class Timeline:
    """All slices of a run."""

    def __init__(self, env: simpy.Environment, seconds: float, slice_seconds: float) -> None:
        self.env = env
        self.slice_seconds = slice_seconds
        self.slices = [Slice() for _ in range(int(np.ceil(seconds / slice_seconds)))]

    @property
    def now(self) -> Slice:
        """The current slice."""
        return self.slices[min(int(self.env.now / self.slice_seconds), len(self.slices) - 1)]

    def count(self, name: str, number: int = 1) -> None:
        """Add to a count."""
        self.now.counts[name] += number

    def wait(self, seconds: float) -> None:
        """Record the wait of a served miss."""
        self.now.waits.append(seconds)

    def peak(self, name: str, value: float) -> None:
        """Record a value; each slice keeps its largest."""
        peaks = self.now.peaks
        peaks[name] = max(peaks[name], value)

    def total(self, name: str) -> int:
        """A count over the whole run."""
        return sum(one.counts[name] for one in self.slices)

    def highest(self, name: str) -> float:
        """A peak over the whole run."""
        return max(one.peaks[name] for one in self.slices)

    def percentile(self, percent: float, first: int = 0) -> float:
        """Of all waits from slice `first` on, in seconds; 0 if there are none."""
        waits = [wait for one in self.slices[first:] for wait in one.waits]
        return float(np.percentile(waits, percent)) if waits else 0.0
