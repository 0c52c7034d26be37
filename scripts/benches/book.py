"""What a part writes down while it measures, round after round, and the medians of that."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median

from benches.rows import Measurement


class Book:
    """Figures by what was done, who did it, and what is counted."""

    def __init__(self) -> None:
        self._rounds: dict[tuple[str, str, str], list[float]] = defaultdict(list)

    def note(self, work: str, who: str, figures: Mapping[str, float]) -> None:
        """One round's figures by their names, such as "photos/s"."""
        for name, value in figures.items():
            self._rounds[work, who, name].append(value)

    def has(self, work: str, who: str) -> bool:
        """Whether anything was measured of them."""
        return any(key[:2] == (work, who) for key in self._rounds)

    def median(self, work: str, who: str, figure: str) -> float:
        """The median of the rounds; raises KeyError for what was not measured."""
        if (work, who, figure) not in self._rounds:
            raise KeyError(f"{work}, {who}: no {figure}")
        return median(self._rounds[work, who, figure])

    def list_measurements(self) -> list[Measurement]:
        """Everything, in the order in which it was first written down."""
        return [Measurement(*key, median(values), min(values), max(values)) for key, values in self._rounds.items()]


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
