"""The end of a job as a value: the log, Flower and the metrics are made from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "done",
    "unavailable",  # in the negative cache
    "postponed",  # scheduled again
    "dropped",  # not scheduled: a client that still wants it asks again
    "skipped",  # nothing to do here: another worker has the lease, the message is stale, or the subject is forgotten
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`kind` is the label of the metric; `detail` is one public line for people, empty if there is nothing to add."""

    kind: Kind
    detail: str = ""
    retry_seconds: float = field(default=0.0, compare=False)  # until the next attempt, at the earliest

    @property
    def is_partial(self) -> bool:
        """Returns True if only what clients wait for is done: the rest of the picture is still missing."""
        return self.kind == "done" and self.retry_seconds > 0

    def __str__(self) -> str:
        """The text that the log and Flower show."""
        return f"{self.kind}: {self.detail}" if self.detail else self.kind
