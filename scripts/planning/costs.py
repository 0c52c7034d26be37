"""The costs of a hit, a miss, a warming and a tick: `scripts/capacity measure` writes them to costs.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "scaling"
FILE = FOLDER / "costs.json"


@dataclass(frozen=True)
class Work:
    """The cost of one piece of work: CPU in microseconds, Redis commands, bytes from and to Redis."""

    web_us: float = 0.0
    worker_us: float = 0.0
    redis_us: float = 0.0
    commands: float = 0.0
    redis_bytes_out: float = 0.0
    redis_bytes_in: float = 0.0

    @classmethod
    def add(cls, *pieces: tuple[Work, float]) -> Work:
        """The sum of these, each with its factor, but nothing below 0: measured differences may be."""
        names = cls.__dataclass_fields__
        return cls(**{name: max(0.0, sum(getattr(work, name) * factor for work, factor in pieces)) for name in names})


@dataclass(frozen=True)
class Memory:
    """Bytes of Redis memory, including the allocator's: of a partner's keys, and of a stored picture's."""

    record: float  # the partner's JSON and its place in `recent`
    shown_by: float
    preview: float
    path: float
    due: float  # an entry of the schedule
    variant_overhead: float  # of a variant without its picture's bytes
    variant_bytes: float  # mean over the sizes in the first format


@dataclass(frozen=True)
class Costs:
    """All measured costs; `idle` is one second without requests: beat, heartbeats, polling."""

    machine: dict[str, str]
    cache_hit: Work
    redis_hit: Work
    miss: Work  # the web tier's part
    warming: Work
    tick: Work
    idle: Work
    listing: Work  # the list of the newest partners
    memory: Memory
    answer_bytes: float  # network bytes of an answer without the picture, headers included
    benchmark: dict[str, float]  # of the same work in docs/benchmarks/results.json, requests or pictures per second


def load_costs(file: Path = FILE) -> Costs:
    """Read the file; raises OSError if it is missing."""
    known = json.loads(file.read_text("utf-8"))
    works = {name: Work(**value) for name, value in known.items() if name in _WORKS}
    return Costs(**{**known, **works, "memory": Memory(**known["memory"])})


def save_costs(costs: Costs, file: Path = FILE) -> None:
    """Write the file, with four significant digits: more would be noise."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(_round(asdict(costs)), indent=1, ensure_ascii=False) + "\n", "utf-8")


def _round(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _round(one) for name, one in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


_WORKS = [name for name, kind in Costs.__annotations__.items() if kind == "Work"]
