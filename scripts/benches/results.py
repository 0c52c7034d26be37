"""What a part of the benchmark reports: measurements, and the targets that they are compared with."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Measurement:
    """One figure of one contestant: the median over the rounds."""

    work: str  # such as "hit"
    who: str  # the contestant, such as "nginx, static files"
    figure: str  # such as "requests/s"
    value: float
    low: float  # the lowest round
    high: float  # the highest round


@dataclass(frozen=True)
class Row:
    """One target: a ratio within this run, compared with its bound."""

    work: str  # its name in the table of targets
    against: str  # the contestant or bound that it is compared with
    measured: float
    target: float
    is_floor: bool = True  # at least the target; otherwise at most
    unit: str = "×"
    note: str = ""  # why the target is missed

    @property
    def holds(self) -> bool:
        return self.measured >= self.target if self.is_floor else self.measured <= self.target


@dataclass
class Part:
    """The measurements and targets of one part."""

    name: str
    measurements: list[Measurement] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)  # "thumbor: does not install here (…)"


class Recorder:
    """The figures of all rounds, by work, contestant and name."""

    def __init__(self) -> None:
        self._rounds: dict[tuple[str, str, str], list[float]] = defaultdict(list)

    def note(self, work: str, who: str, figures: Mapping[str, float]) -> None:
        """Record the figures of one round, such as {"photos/s": 120}."""
        for name, value in figures.items():
            self._rounds[work, who, name].append(value)

    def has(self, work: str, who: str) -> bool:
        """Returns True if anything was recorded of them."""
        return any(key[:2] == (work, who) for key in self._rounds)

    def median(self, work: str, who: str, figure: str) -> float:
        """The median of the rounds; raises KeyError if there are none."""
        if (work, who, figure) not in self._rounds:
            raise KeyError(f"{work}, {who}: no {figure}")
        return median(self._rounds[work, who, figure])

    def list_measurements(self) -> list[Measurement]:
        """All figures, in the order of their first record."""
        return [Measurement(*key, median(values), min(values), max(values)) for key, values in self._rounds.items()]


def show_number(value: float) -> str:
    """The number with three significant digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that is at least as large as this percentage of the values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
