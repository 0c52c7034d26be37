"""What a part of the benchmark reports: measurements, and the targets that they are compared with."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

RAISE = 1.1  # a target that is met becomes this much harder than what was reached
Key = tuple[str, str]  # work and contestant


@dataclass(frozen=True)
class Measurement:
    """One figure of one contestant: the median over the rounds."""

    work: str  # such as "hit"
    who: str  # the contestant, such as "nginx, static files"
    figure: str  # such as "requests/s"
    value: float
    low: float  # the lowest round
    high: float  # the highest round
    times: int = 0  # rounds; 0: not recorded


@dataclass(frozen=True)
class Row:
    """One target: a ratio within this run, compared with its bound."""

    work: str  # its name in the table of targets
    against: str  # the contestant or bound that it is compared with
    measured: float
    target: float
    is_floor: bool = True  # at least the target; otherwise at most
    unit: str = "×"
    note: str = ""  # figures that explain the row
    low: float | None = None  # the lowest round
    high: float | None = None
    times: int = 0  # rounds; 0: not recorded
    is_fixed: bool = False  # a count or a floor that no run can better: never raised
    is_moonshot: bool = False  # wished for, not promised

    @property
    def holds(self) -> bool:
        return self.measured >= self.target if self.is_floor else self.measured <= self.target

    @property
    def raised(self) -> float | None:
        """The next target after one that was met; None for a missed or a fixed one."""
        if not self.holds or self.is_fixed:
            return None
        harder = self.measured * RAISE if self.is_floor else self.measured / RAISE
        return max(harder, self.target) if self.is_floor else min(harder, self.target)


def make_row(
    work: str,
    against: str,
    rounds: Sequence[float],
    target: float,
    choose: Callable[[Sequence[float]], float] = median,
    **options: Any,
) -> Row:
    """A row from the values of all rounds. `choose`: max or min where no round may miss the target."""
    spread: dict[str, Any] = {"low": min(rounds), "high": max(rounds), "times": len(rounds)}
    return Row(work, against, choose(rounds), target, **spread, **options)


@dataclass
class Part:
    """The measurements and targets of one part."""

    name: str
    measurements: list[Measurement] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)  # "thumbor: does not install here (…)"
    date: str = ""  # of its last run that reached the end, as 2026-11-30
    seconds: float = 0.0  # that it took


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

    def list_rounds(self, work: str, who: str, figure: str) -> list[float]:
        """The values in the order of the rounds; raises KeyError if there are none."""
        if (work, who, figure) not in self._rounds:
            raise KeyError(f"{work}, {who}: no {figure}")
        return list(self._rounds[work, who, figure])

    def median(self, work: str, who: str, figure: str) -> float:
        """The median of the rounds; raises KeyError if there are none."""
        return median(self.list_rounds(work, who, figure))

    def list_blocks(self, work: str, who: str, figure: str, blocks: int) -> list[float]:
        """The median of each block of rounds; raises KeyError if there are none."""
        rounds = self.list_rounds(work, who, figure)
        size = len(rounds) // blocks
        return [median(rounds[start : start + size]) for start in range(0, size * blocks, size)]

    def list_ratios(self, figure: str, ours: Key, theirs: Key, blocks: int = 0) -> list[float]:
        """The ratio of each round, or of the medians of each block; both were measured equally often, in turn."""
        one, other = (
            self.list_blocks(*key, figure, blocks) if blocks else self.list_rounds(*key, figure)
            for key in (ours, theirs)
        )
        return [value / base for value, base in zip(one, other, strict=True)]

    def list_measurements(self) -> list[Measurement]:
        """All figures, in the order of their first record."""
        return [
            Measurement(*key, median(values), min(values), max(values), len(values))
            for key, values in self._rounds.items()
        ]


def show_number(value: float) -> str:
    """The number with three significant digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that is at least as large as this percentage of the values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
