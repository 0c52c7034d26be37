"""Replaces the records in Redis, one at a time. A change that is an event is written together with the event."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from redis import Redis

from warmer.keys import Keys, Subject
from warmer.state.events import Event, FindEvent, find_loss
from warmer.state.outbox import Outbox
from warmer.state.person import Person, Reading, Record, clear_photos, is_listed_differently, load_record, read_person
from warmer.state.scripts import load_script, queue
from warmer.state.tombstones import lift_tombstones

EVENTS_MAX = 20  # of an id; beyond them, `replace` merges a waiting change into the next one


def execute_pipeline(pipe: Any) -> list[Any]:
    """Execute a pipeline. Returns the answers, in the order of the commands."""
    return list(pipe.execute())


class Records:
    """The records in Redis. One is replaced only if no other process wrote it meanwhile."""

    def __init__(self, redis: Redis, keys: Keys, ttl_seconds: int, outbox: Outbox | None = None) -> None:
        """`outbox`: gets the events. It is None without a webhook."""
        self.redis = redis
        self.keys = keys
        self.ttl_seconds = ttl_seconds  # of an id that is not registered
        self.outbox = outbox
        self._replace = load_script(redis, "lua/replace.lua")

    def fetch(self, person_id: int) -> Person:
        """Return the person, with Redis' TIME, in one round trip."""
        pipe: Any = self.redis.pipeline(transaction=False)
        pipe.time()
        pipe.get(self.keys.person(person_id))
        (seconds, micros), value = pipe.execute()
        person = read_person(person_id, load_record(value))
        return replace(person, read=Reading(value, (int(seconds), int(micros))))

    def announce(self, record: Record) -> Record:
        """Note in the record that its picture has an event, if there is a webhook."""
        if self.outbox:
            record["announced_file_id"] = record.get("photo_file_id")
        return record

    def send_events(self, person_id: int) -> None:
        """Have the events of an id delivered now, if there is a webhook."""
        if self.outbox:
            self.outbox.send(person_id)

    def drop_photos(self, person_id: int) -> tuple[str, ...]:
        """Show no picture, and keep the file ids as former ones. Returns these, and none if the picture is pinned."""
        dropped: list[str] = []

        def change(record: Record, _now: tuple[int, int]) -> Record | None:
            dropped[:] = () if record.get("is_pinned") else read_person(person_id, record).ever_shown
            if not record or record.get("is_pinned"):
                return None
            clear_photos(record, former=dropped)
            return record if dropped or record.get("joined_us") is not None else {}

        self.update(Person(person_id), change)
        return tuple(dropped)

    def end_drop(self, person_id: int) -> None:
        """Forget the former pictures, with an event, unless another picture came meanwhile."""

        def change(record: Record, _now: tuple[int, int]) -> Record | None:
            if not record or record.get("photo_file_id") or record.get("next_file_id"):
                return None
            clear_photos(record, former=[])
            record.pop("announced_file_id", None)  # not before: the event of a picture that comes meanwhile names it
            return record if record.get("joined_us") is not None else {}

        self.update(Person(person_id), change, find_event=find_loss)

    def remove(self, person_id: int) -> Person:
        """Delete the record and the place. Returns the record as it was at its end. `send_events` comes later."""
        if self.outbox is None:
            pipe: Any = self.redis.pipeline(transaction=False)
            pipe.getdel(self.keys.person(person_id))
            pipe.zrem(self.keys.recent, str(person_id))
            pipe.publish(self.keys.purge, Subject.of_person(person_id))
            value, *_ = pipe.execute()
            return read_person(person_id, load_record(value))
        last = [Person(person_id)]

        def change(record: Record, _now: tuple[int, int]) -> Record:
            last[0] = read_person(person_id, record)
            return {}

        def write(pipe: Any, _: Record) -> None:
            pipe.zrem(self.keys.recent, str(person_id))

        self.update(Person(person_id), change, write, find_event=find_loss, sends=False)
        return last[0]

    def update(
        self,
        before: Person,
        change: Callable[[Record, tuple[int, int]], Record | None],
        write: Callable[[Any, Record], None] | None = None,
        lifted: Sequence[str] = (),
        find_event: FindEvent | None = None,
        sends: bool = True,
        execute: Callable[[Any], list[Any]] = execute_pipeline,
    ) -> Person | None:
        """Change and replace one record, again if another process wrote meanwhile. Unknown fields stay.

        `before` is read first, unless it comes from `fetch`. `change` gets the record and Redis' TIME. It returns None
        to leave the record, and an empty one to delete it. `write` adds commands to the pipeline that writes; they must
        bear repetition. `lifted`: their tombstones end in it. `find_event`: finds the event that is written with the
        record. Without `sends` the caller calls `send_events` later. `execute`: returns the answers of the pipeline.
        Returns the person. Returns None if the record was left.
        """
        noted: set[str] = set()  # pictures whose sets of people may hold this id by now
        while True:
            if before.read is None:
                before = self.fetch(before.id)
            reading = before.read
            assert reading is not None  # noqa: S101 - `fetch` sets it
            record = change(load_record(reading.value), reading.now)
            after = before if record is None else read_person(before.id, record)
            noted |= {*before.shown, *after.shown}
            new = json.dumps(record).encode() if record else b""
            event = None if record is None else self._prepare(before, after, find_event)
            if record is None:
                break
            if self._write(before, after, reading.value, new, _add(write, record), lifted, event, execute):
                break
            before = replace(before, read=None)
        for file_id in noted - {*after.shown}:
            self.redis.srem(self.keys.people(file_id), before.id)
        if event and sends:
            self.send_events(after.id)
        return None if record is None else replace(after, read=Reading(new or None, reading.now))

    def _prepare(self, before: Person, after: Person, find_event: FindEvent | None) -> Event | None:
        """Find the event of this change, if there is a webhook, and note its id before it is written."""
        event = find_event(before, after) if find_event and self.outbox else None
        if event is None or self.outbox is None:
            return None
        self.outbox.note(after.id)
        return event

    def _write(
        self,
        before: Person,
        after: Person,
        old: bytes | None,
        new: bytes,
        write: Callable[[Any], None],
        lifted: Sequence[str],
        event: Event | None,
        execute: Callable[[Any], list[Any]],
    ) -> bool:
        pipe: Any = self.redis.pipeline(transaction=False)
        shown = after.shown[:1] if before.is_registered else after.shown  # a previous picture has its people already
        shown = shown if after.is_registered else ()
        place = lift_tombstones(pipe, self.keys, lifted)  # of the answer to `replace`
        # Before the record: a picture that is shown is never without its people. The nodes of a cluster take a pipeline
        # in any order, so a late SADD could follow the SREM of another process that has replaced the record since, and
        # a note that is later than its event would stay after the delivery.
        has_slots = getattr(self.redis, "has_slots", False)
        first: Any = self.redis if has_slots else pipe
        for file_id in shown:
            first.sadd(self.keys.people(file_id), after.id)
            place += first is pipe
        ttl = "" if after.is_registered else self.ttl_seconds
        if event and self.outbox:
            self.outbox.queue_note(first, after.id)
            place += first is pipe
        keys = [self.keys.person(after.id), self.keys.events(after.id)]
        args = [old or b"", new, ttl, event.pack() if event else "", EVENTS_MAX]
        queue(pipe, self._replace, keys=keys, args=args)
        write(pipe)
        purged = Subject.of_person(after.id) if is_listed_differently(before, after) else None
        if purged and not has_slots:
            pipe.publish(self.keys.purge, purged)
        is_written = bool(execute(pipe)[place])
        if purged and has_slots:  # a process that heard of it before the record was written could keep the older one
            self.redis.publish(self.keys.purge, purged)
        return is_written


def _add(write: Callable[[Any, Record], None] | None, record: Record) -> Callable[[Any], None]:
    return lambda pipe: write(pipe, record) if write else None
