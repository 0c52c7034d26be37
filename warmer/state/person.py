"""The record of one id, and how it changes. It is additive JSON: fields that this release does not know are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

from redis import Redis

from warmer.keys import Keys, Subject
from warmer.state.scripts import load_script, queue
from warmer.state.tombstones import lift_tombstones

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
    picture is ready. File ids in `former_file_ids` were shown before: their URLs are still in use.
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
    needs_look_up: bool = False  # registered since the last look-up
    read: Reading | None = field(default=None, compare=False, repr=False)

    @property
    def is_registered(self) -> bool:
        return self.joined_us is not None

    @property
    def shown(self) -> tuple[str, ...]:
        """The file ids to serve, the best first: the second one stands in until the first one is ready."""
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


FIELDS = [one.name for one in fields(Person) if one.name != "read"]


def list_rewarmed(person: Person) -> list[Subject]:
    """The subjects that have a next run while the person is among the newest: the profile and the picture."""
    profile = [] if person.is_pinned else [Subject.of_person(person.id)]
    return profile + ([Subject(person.photo_file_id)] if person.photo_file_id else [])


def load_record(value: Any) -> Record:
    return dict(json.loads(value)) if value else {}


def read_person(person_id: int, record: Record) -> Person:
    """The fields that this release knows."""
    known = {name: record[name] for name in FIELDS if name in record}
    known["former_file_ids"] = tuple(record.get("former_file_ids", ()))
    return Person(**known | {"id": person_id})


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


class Records:
    """The records in Redis. One is replaced only if no other process wrote it meanwhile."""

    def __init__(self, redis: Redis, keys: Keys, ttl_seconds: int) -> None:
        self.redis = redis
        self.keys = keys
        self.ttl_seconds = ttl_seconds  # of an id that is not registered
        self._replace = load_script(redis, "lua/replace.lua")

    def fetch(self, person_id: int) -> Person:
        """The person, with Redis' TIME, in one round trip."""
        pipe: Any = self.redis.pipeline(transaction=False)
        pipe.time()
        pipe.get(self.keys.person(person_id))
        (seconds, micros), value = pipe.execute()
        person = read_person(person_id, load_record(value))
        return replace(person, read=Reading(value, (int(seconds), int(micros))))

    def update(
        self,
        before: Person,
        change: Callable[[Record, tuple[int, int]], Record | None],
        write: Callable[[Any, Record], None] | None = None,
        lifted: Sequence[str] = (),
    ) -> Person | None:
        """Change and replace one record, again if another process wrote meanwhile. Unknown fields stay.

        `before` is read first, unless it comes from `fetch`. `change` gets the record and Redis' TIME. It returns None
        to leave the record, and an empty one to delete it. `write` adds commands to the round trip that writes; they
        must bear repetition. `lifted`: their tombstones end in it. Returns the person, None if the record was left.
        """
        noted: set[str] = set()  # pictures whose sets of people may hold this id by now
        reading = before.read
        while True:
            if reading is None:
                before = self.fetch(before.id)
                reading = before.read
            assert reading is not None  # noqa: S101 - `fetch` sets it
            record = change(load_record(reading.value), reading.now)
            after = before if record is None else read_person(before.id, record)
            noted |= {*before.shown, *after.shown}
            new = json.dumps(record).encode() if record else b""
            if record is None or self._write(before, after, reading.value, new, _add(write, record), lifted):
                break
            reading = None
        for file_id in noted - {*after.shown}:
            self.redis.srem(self.keys.people(file_id), before.id)
        return None if record is None else replace(after, read=Reading(new or None, reading.now))

    def _write(
        self,
        before: Person,
        after: Person,
        old: bytes | None,
        new: bytes,
        write: Callable[[Any], None],
        lifted: Sequence[str],
    ) -> bool:
        pipe: Any = self.redis.pipeline(transaction=False)
        shown = after.shown[:1] if before.is_registered else after.shown  # a previous picture has its people already
        shown = shown if after.is_registered else ()
        place = lift_tombstones(pipe, self.keys, lifted) + len(shown)  # of the answer to `replace`
        for file_id in shown:  # before the record: a picture that is shown is never without its people
            pipe.sadd(self.keys.people(file_id), after.id)
        ttl = "" if after.is_registered else self.ttl_seconds
        queue(pipe, self._replace, keys=[self.keys.person(after.id)], args=[old or b"", new, ttl])
        write(pipe)
        if after.shown != before.shown:
            pipe.publish(self.keys.purge, Subject.of_person(after.id))
        return bool(pipe.execute()[place])


def _add(write: Callable[[Any, Record], None] | None, record: Record) -> Callable[[Any], None]:
    return lambda pipe: write(pipe, record) if write else None
