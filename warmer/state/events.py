"""The events of the webhook: which change of a record is one, and what Redis keeps of it until it is delivered."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Literal, Self

from warmer.state.person import Person

EventType = Literal["photo.changed", "photo.gone"]


@dataclass(frozen=True, slots=True)
class Event:
    """Another picture of an id is ready, or the id shows none any more."""

    type: EventType
    stale: tuple[str, ...]  # the file ids whose URLs and tags are to be purged
    file_id: str = ""  # shown now; empty for photo.gone
    version: str | None = None  # of the picture that is shown now
    at: float = 0.0  # Redis' TIME, in seconds
    id: str = field(default_factory=lambda: f"msg_{secrets.token_hex(12)}")

    def pack(self) -> str:
        """Return the form in Redis. lua/replace.lua writes the instant in front of it."""
        return json.dumps({name: value for name, value in asdict(self).items() if name != "at"})

    @classmethod
    def unpack(cls, value: bytes) -> Self:
        """Read the form in Redis. Fields of a newer release are ignored. Raises ValueError for another form."""
        at, _, text = value.decode().partition(" ")
        said = json.loads(text)
        try:
            return cls(
                said["type"], tuple(said["stale"]), said.get("file_id", ""), said.get("version"), float(at), said["id"]
            )
        except (KeyError, TypeError) as error:
            raise ValueError("an event in another form") from error


FindEvent = Callable[[Person, Person], Event | None]  # from a record before and after its change


def find_change(version: str | None) -> FindEvent:
    """Finds an event if the record announces another picture than before. `version`: of the picture shown now."""

    def find(before: Person, after: Person) -> Event | None:
        now = after.announced_file_id
        if now is None or now == before.announced_file_id:
            return None
        shown = (before.announced_file_id, before.photo_file_id, before.previous_file_id)
        stale = tuple(dict.fromkeys(file_id for file_id in shown if file_id and file_id != now))
        return Event("photo.changed", stale, now, version)

    return find


def find_loss(before: Person, after: Person) -> Event | None:
    """Finds an event if the id shows no picture any more. It names every picture whose URL was handed out."""
    return Event("photo.gone", before.ever_shown) if before.ever_shown and not after.ever_shown else None
