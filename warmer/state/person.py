"""The record of one id, and what may change in it. It is additive JSON: unknown fields are kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from warmer.keys import REMEMBERED_SECONDS, Subject
from warmer.photo import PhotoSize

FORMER_MAX = 50  # former pictures in a record: deleting the person covers them
Record = dict[str, Any]


class Reading(NamedTuple):
    """A record as it was read, so that it can be replaced without a second reading."""

    value: bytes | None
    now: tuple[int, int]  # Redis' TIME: seconds, microseconds


@dataclass(frozen=True, slots=True)
class Person:
    """A person or chat. An unknown id has an empty record.

    `next_file_id` was found in the profile and is shown once it is ready. `previous_file_id` is served until a pinned
    picture is ready. File ids in `former_file_ids` were shown before: their URLs are still in use. A new field that
    clients see or set: web/api/partner_json.py says where it is named, too.
    """

    id: int
    name: str = ""
    joined_us: int | None = None  # first registration, microseconds of Redis' TIME
    registered_at: int = 0  # last registration by the user, seconds of Redis' TIME
    photo_file_id: str | None = None
    photo_unique_id: str | None = None
    is_pinned: bool = False  # the picture was given with the registration: the profile is not looked up
    previous_file_id: str | None = None
    next_file_id: str | None = None
    next_unique_id: str | None = None
    former_file_ids: tuple[str, ...] = ()  # the newest first
    looked_up_at: int = 0  # seconds of Redis' TIME
    needs_look_up: bool = False  # registered since the last lookup
    announced_file_id: str | None = None  # the picture of the last event; None without a webhook
    read: Reading | None = field(default=None, compare=False, repr=False)

    @property
    def is_registered(self) -> bool:
        return self.joined_us is not None

    @property
    def shown(self) -> tuple[str, ...]:
        """The file ids to serve, the best first: the second one is served until the first one is ready."""
        current = self.photo_file_id or self.next_file_id
        return tuple(file_id for file_id in (current, self.previous_file_id) if file_id)

    @property
    def ever_shown(self) -> tuple[str, ...]:
        """Every file id whose URL was handed out for this id."""
        known = (*self.shown, self.next_file_id, *self.former_file_ids)
        return tuple(dict.fromkeys(file_id for file_id in known if file_id))

    @property
    def subject(self) -> Subject:
        """The subject to warm: the picture, or the profile while no picture is known."""
        return Subject(self.shown[0]) if self.shown else Subject.of_person(self.id)


class Registration(NamedTuple):
    """The result of a registration."""

    person: Person
    is_new: bool
    is_repeat: bool  # the user registered less than a minute ago, too
    outdates_lists: bool  # in the memory of web processes


FIELDS = [one.name for one in fields(Person) if one.name != "read"]


def list_rewarmed(person: Person) -> list[Subject]:
    """Return the subjects that have a next run while the person is among the newest: the profile and the picture."""
    profile = [] if person.is_pinned else [Subject.of_person(person.id)]
    return profile + ([Subject(person.photo_file_id)] if person.photo_file_id else [])


def load_record(value: Any) -> Record:
    return dict(json.loads(value)) if value else {}


def read_person(person_id: int, record: Record) -> Person:
    """Return the person with the fields that this release knows."""
    known = {name: record[name] for name in FIELDS if name in record}
    known["former_file_ids"] = tuple(record.get("former_file_ids", ()))
    return Person(**known | {"id": person_id})


def format_instant(microseconds: int) -> str:
    """Return an instant of Redis' TIME as JSON has it: UTC in the form of RFC 3339."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def is_listed_differently(before: Person, after: Person) -> bool:
    """Returns True if lists and URLs show these two differently, apart from the state of a picture."""
    return (before.name, before.joined_us, before.shown) != (after.name, after.joined_us, after.shown)


def note_registration(
    record: Record,
    now: tuple[int, int],
    person_id: int,
    name: str,
    file_id: str | None,
    *,
    by_user: bool,
    fresh_seconds: float,
) -> Registration:
    """Add or update a person, at Redis' TIME. A registration by the user leaves a pinned picture.

    Another one by the user within `fresh_seconds` is a repeat.
    """
    before, now_us = read_person(person_id, record), now[0] * 1_000_000 + now[1]
    is_pinned = file_id is not None or (before.is_pinned and by_user)
    record.update(id=person_id, name=name, is_pinned=is_pinned, needs_look_up=not is_pinned)
    if not before.is_registered:
        record["joined_us"] = now_us
    if by_user:
        record["registered_at"] = now[0]
    if file_id is not None:
        show_photo(record, file_id, None, previous=record.get("photo_file_id"))
    after = read_person(person_id, record)
    is_repeat = by_user and before.is_registered and now[0] - before.registered_at < fresh_seconds
    outdates_lists = (
        is_listed_differently(before, after)
        or not (is_repeat or after.shown)  # the negative cache ends
        or now_us - (after.joined_us or 0) < REMEMBERED_SECONDS * 1e6  # the first registration may still be waiting
    )
    return Registration(after, not before.is_registered, is_repeat, outdates_lists)


def note_found(record: Record, now: tuple[int, int], person_id: int, photo: PhotoSize) -> None:
    """Note the newest picture of the profile, looked up at Redis' TIME. A pinned one stays the only one."""
    record.update(id=person_id, looked_up_at=now[0], needs_look_up=False)
    if photo.file_id == record.get("photo_file_id"):
        drop_next(record)
        record["photo_unique_id"] = photo.unique_id
    elif not record.get("is_pinned"):
        if photo.file_id != record.get("next_file_id"):
            drop_next(record)
        record.update(next_file_id=photo.file_id, next_unique_id=photo.unique_id)


def show_photo(record: Record, file_id: str, unique_id: str | None, *, previous: str | None) -> None:
    """Make this the current picture. The ones before it become former pictures, `previous` is served meanwhile."""
    current = record.get("photo_file_id")
    if file_id != current:
        older = record.get("previous_file_id")
        record.update(previous_file_id=previous if previous != file_id else None)
        note_former(record, older, current)
    elif previous is None:
        note_former(record, record.get("previous_file_id"))
        record["previous_file_id"] = None
    if file_id != current or unique_id:
        record.update(photo_file_id=file_id, photo_unique_id=unique_id)
    if record.get("next_file_id") == file_id:
        record["next_file_id"] = None
    drop_next(record)


def clear_photos(record: Record, *, former: Sequence[str]) -> None:
    """Leave no picture in the record but these former ones."""
    record.update(photo_file_id=None, photo_unique_id=None, previous_file_id=None, former_file_ids=list(former))
    record.update(next_file_id=None, next_unique_id=None)


def drop_next(record: Record) -> None:
    note_former(record, record.get("next_file_id"))
    record.update(next_file_id=None, next_unique_id=None)


def note_former(record: Record, *file_ids: str | None) -> None:
    """URLs of former pictures are still in use: deleting the person ends them, too."""
    former = list(record.get("former_file_ids", []))
    for file_id in file_ids:
        if file_id:
            former = [file_id, *(known for known in former if known != file_id)]
    record["former_file_ids"] = former[:FORMER_MAX]
