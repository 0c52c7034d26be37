"""The file of all results: each part as of its last run that reached the end, and what failed since."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from benches.results import Measurement, Part, Row

T = TypeVar("T")


@dataclass
class Record:
    """The results of all parts, which may come from different runs."""

    machine: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)  # the peers that could not be installed
    parts: list[Part] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # part → date and reason, until it reaches its end again

    def put(self, part: Part, order: Sequence[str]) -> None:
        """Compare the part with its last results, and replace them; the parts stay in this order."""
        self.failed.pop(part.name, None)
        by_name = {one.name: one for one in self.parts}
        part.follow(by_name.get(part.name, Part(part.name)))
        by_name[part.name] = part
        self.parts = [by_name[name] for name in order if name in by_name]

    def fail(self, name: str, reason: str) -> None:
        """The part did not reach its end; its last results stay."""
        self.failed[name] = f"{time.strftime('%Y-%m-%d')}: {reason}"

    def find(self, part: str, work: str, who: str, figure: str) -> float | None:
        """A measured figure; None if it is missing."""
        for one in (one for found in self.parts if found.name == part for one in found.measurements):
            if (one.work, one.who, one.figure) == (work, who, figure):
                return one.value
        return None

    def write(self, file: Path) -> None:
        """Write it as JSON; every row says whether its target holds."""
        shown = asdict(self)
        for part, found in zip(shown["parts"], self.parts, strict=True):
            part["rows"] = [asdict(row) | {"holds": row.holds} for row in found.rows]
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".draft")
        draft.write_text(json.dumps(shown, indent=1, ensure_ascii=False) + "\n", "utf-8")
        draft.replace(file)


def read_record(file: Path) -> Record:
    """The results in this file; none if it is missing."""
    if not file.exists():
        return Record()
    told = json.loads(file.read_text("utf-8"))
    parts = [_read_part(part) for part in told.get("parts", ())]
    return _make(Record, told | {"parts": parts})


def _read_part(told: Mapping[str, Any]) -> Part:
    rows, measurements = told["rows"], told["measurements"]
    found = {
        "rows": [_make(Row, one) for one in rows],
        "measurements": [_make(Measurement, one) for one in measurements],
    }
    return _make(Part, {**told, **found})


def _make(kind: type[T], told: Mapping[str, Any]) -> T:
    """Ignores what another version of this file knew."""
    names = {one.name for one in fields(kind)}  # type: ignore[arg-type]  # all of them are dataclasses
    return kind(**{name: value for name, value in told.items() if name in names})
