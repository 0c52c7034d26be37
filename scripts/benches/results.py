"""What a part of the benchmark reports: measurements, and the targets that they are compared with."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    is_counted: bool = False  # the same in every round and run of these versions


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
    limit: float | None = None  # no run can better this
    limit_reason: str = ""
    is_moonshot: bool = False  # wished for, not promised
    last: float | None = None  # measured by the last run
    trend: str = ""  # "rose" or "fell": no round of this run is in the range of the last one
    sought: float | None = None  # the raised target that the last run left
    raised: float | None = None  # the raised target for the next run

    @property
    def holds(self) -> bool:
        """Whether the demanded target is met."""
        return self.meets(self.target)

    def meets(self, bound: float) -> bool:
        """Returns True if the measured value is at least as good as this."""
        return self.measured >= bound if self.is_floor else self.measured <= bound

    @property
    def is_at_limit(self) -> bool:
        return self.limit is not None and self.meets(self.limit)

    def follow(self, last: Row | None) -> Row:
        """This row after the one of the last run, None if there is none: compared with it, its target raised.

        A raised target stays until a run meets it, so that many small steps back show, too.
        """
        raised = sought = last.raised if last else None
        if self.holds and (sought is None or self.meets(sought)):
            raised = self._find_harder_target()
        reached = last.measured if last else None
        return replace(self, last=reached, trend=self._find_trend(last), sought=sought, raised=raised)

    def _find_harder_target(self) -> float:
        """A tenth beyond what was reached, as far as the limit allows."""
        if self.is_floor:
            harder = max(self.measured * RAISE, self.target)
            return harder if self.limit is None else min(harder, self.limit)
        harder = min(self.measured / RAISE, self.target)
        return harder if self.limit is None else max(harder, self.limit)

    def _find_trend(self, last: Row | None) -> str:
        if last is None or min(last.times, self.times) < 2:  # no spread
            return ""
        if None in (ends := (self.low, self.high, last.low, last.high)):
            return ""
        low, high, last_low, last_high = map(float, ends)  # type: ignore[arg-type]  # none is None
        return "rose" if low > last_high else "fell" if high < last_low else ""


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
    machine: str = ""  # its processor: only runs on the same kind are compared

    def follow(self, last: Part) -> None:
        """Compare its rows with those of its last run, if that was on the same kind of machine."""
        known = {(row.work, row.against): row for row in last.rows} if last.machine == self.machine else {}
        self.rows = [row.follow(known.get((row.work, row.against))) for row in self.rows]


class Recorder:
    """The figures of all rounds, by work, contestant and name."""

    def __init__(self) -> None:
        self._rounds: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        self._counted: set[tuple[str, str, str]] = set()

    def note(self, work: str, who: str, figures: Mapping[str, float]) -> None:
        """Record the figures of one round, such as {"photos/s": 120}."""
        for name, value in figures.items():
            self._rounds[work, who, name].append(value)

    def count(self, work: str, who: str, figures: Mapping[str, float]) -> None:
        """Record figures that are the same in every round and run of these versions."""
        self.note(work, who, figures)
        self._counted.update((work, who, name) for name in figures)

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
            Measurement(*key, median(values), min(values), max(values), len(values), key in self._counted)
            for key, values in self._rounds.items()
        ]


def show_number(value: float) -> str:
    """The number with three significant digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that is at least as large as this percentage of the values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
