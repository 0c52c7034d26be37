"""What one hit, miss, warming and tick cost: measured by `scripts/capacity measure`, and kept in costs.json."""

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
    """What one piece of work takes: CPU in microseconds, Redis commands, bytes that leave and enter Redis."""

    web_us: float = 0.0
    worker_us: float = 0.0
    redis_us: float = 0.0
    commands: float = 0.0
    redis_bytes_out: float = 0.0
    redis_bytes_in: float = 0.0


@dataclass(frozen=True)
class Memory:
    """Bytes of Redis, allocator included: of a partner's own keys, and of a stored picture's."""

    record: float  # the partner's JSON and its place in `recent`
    shown_by: float
    preview: float
    path: float
    due: float  # a turn in `due`
    variant_overhead: float  # of a variant beside its picture's bytes
    variant_bytes: float  # mean of the sizes in the first format


@dataclass(frozen=True)
class Costs:
    """Everything that was measured; `idle` is of one second without requests: beat, heartbeats, polling."""

    machine: dict[str, str]
    shelf_hit: Work
    redis_hit: Work
    miss: Work  # the web tier's part
    warming: Work
    tick: Work
    idle: Work
    listing: Work  # the list of the newest
    memory: Memory
    answer_bytes: float  # of the network, head included, beside the picture's
    benchmark: dict[str, float]  # the same works in docs/benchmarks/results.json, requests or pictures a second


def load_costs(file: Path = FILE) -> Costs:
    """Read the file; raises OSError where it is missing."""
    known = json.loads(file.read_text("utf-8"))
    works = {name: Work(**value) for name, value in known.items() if name in _WORKS}
    return Costs(**{**known, **works, "memory": Memory(**known["memory"])})


def save_costs(costs: Costs, file: Path = FILE) -> None:
    """Write it, figures with four digits that count: more would be noise."""
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(_round(asdict(costs)), indent=1, ensure_ascii=False) + "\n", "utf-8")


def _round(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _round(one) for name, one in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


_WORKS = [name for name, kind in Costs.__annotations__.items() if kind == "Work"]
