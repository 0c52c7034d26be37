"""What a simulated run writes down: counts, waits and peaks, in slices of time."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import simpy

Refusal = Literal["places", "queue", "late", "postponed", "shard", "web"]
REFUSALS: dict[Refusal, str] = {
    "places": "as many requests wait as may",
    "queue": "HOT_MAX messages wait",
    "late": "not ready within PHOTO_WAIT",
    "postponed": "no token, or a pause",
    "shard": "the shard is away",
    "web": "the web processes are full",
}


@dataclass
class Slice:
    """Some seconds of a run."""

    counts: Counter[str] = field(default_factory=Counter)  # hits, misses, calls, and each refusal
    waits: list[float] = field(default_factory=list)  # seconds, of misses that were answered with the picture
    peaks: dict[str, float] = field(default_factory=lambda: defaultdict(float))


class Ledger:
    """Slices of so many seconds each."""

    def __init__(self, env: simpy.Environment, seconds: float, slice_seconds: float) -> None:
        self.env = env
        self.slice_seconds = slice_seconds
        self.slices = [Slice() for _ in range(int(np.ceil(seconds / slice_seconds)))]

    @property
    def now(self) -> Slice:
        """The slice of this moment."""
        return self.slices[min(int(self.env.now / self.slice_seconds), len(self.slices) - 1)]

    def count(self, name: str, number: int = 1) -> None:
        """So many more of these."""
        self.now.counts[name] += number

    def wait(self, seconds: float) -> None:
        """A client has its picture after so long."""
        self.now.waits.append(seconds)

    def peak(self, name: str, value: float) -> None:
        """The largest of each slice is kept."""
        peaks = self.now.peaks
        peaks[name] = max(peaks[name], value)

    def total(self, name: str) -> int:
        """Of the whole run."""
        return sum(one.counts[name] for one in self.slices)

    def highest(self, name: str) -> float:
        """Of the whole run."""
        return max(one.peaks[name] for one in self.slices)

    def percentile(self, percent: float, first: int = 0) -> float:
        """Of all waits from that slice on, in seconds; 0 without any."""
        waits = [wait for one in self.slices[first:] for wait in one.waits]
        return float(np.percentile(waits, percent)) if waits else 0.0
