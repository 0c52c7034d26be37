"""What a part of the benchmark reports: measurements, and the targets they are held to."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Measurement:
    """One figure of one contestant: the median over the rounds."""

    work: str  # what was done, such as "hit"
    who: str  # who did it, such as "nginx, static files"
    figure: str  # what is counted, such as "requests/s"
    value: float
    low: float  # the lowest round
    high: float  # the highest round


@dataclass(frozen=True)
class Row:
    """One target: a ratio within this run, and whether it holds."""

    work: str  # as in the table of targets
    against: str  # what it is compared with
    measured: float
    target: float
    is_floor: bool = True  # at least the target; otherwise at most
    unit: str = "×"
    note: str = ""  # why a missed one is missed

    @property
    def holds(self) -> bool:
        return self.measured >= self.target if self.is_floor else self.measured <= self.target


@dataclass
class Part:
    """All that one part has measured."""

    name: str
    measurements: list[Measurement] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)  # "thumbor: does not install here (…)"
