"""One record per id: who it is, which picture it shows and showed before, and when its profile was looked up last.

A registered person has a place in the list and no TTL. An id that was only resolved lives as long as a picture.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from redis import Redis

from warmer.deadline import Deadline
from warmer.keys import Keys, Subject
from warmer.photo import PhotoSize, version_of
from warmer.settings import Settings
from warmer.state.events import find_change
from warmer.state.outbox import Outbox
from warmer.state.person import (
    Person,
    Record,
    Registration,
    drop_next,
    load_record,
    note_found,
    note_registration,
    read_person,
    show_photo,
)
from warmer.state.records import Records
from warmer.state.remembered import Look

RECENT_CAP = 10_000  # places in the list, or REWARM_PARTNERS if that is more; records have no cap
FRESH_SECONDS = 60  # a lookup is not repeated for this long, and a registration by the user counts once


class People:
    """The records, the order of registration, and who shows a picture."""

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        *,
        keep: int,
        ttl_seconds: int,
        check_seconds: int,
        outbox: Outbox | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`outbox`: gets the events of the webhook, None without one."""
        self.redis = redis
        self.keys = keys
        self.keep = keep  # this many of the newest are kept warm
        self.check_seconds = check_seconds  # between two lookups of the newest
        self.fresh_seconds = min(FRESH_SECONDS, check_seconds / 2)
        self._wall_clock = wall_clock
        self._records = Records(redis, keys, ttl_seconds, outbox)
        self.send_events = self._records.send_events  # after `remove` and `drop_photos`, once the pictures are deleted

    # Reading

    def get(self, person_id: int) -> Person:
        """Read the person. An unknown id has an empty record."""
        return self.get_many([person_id])[0]

    def get_many(self, person_ids: Sequence[int]) -> list[Person]:
        """Read the people with these ids, in one round trip."""
        if not person_ids:
            return []
        values = self.redis.mget([self.keys.person(person_id) for person_id in person_ids])
        return [read_person(person_id, load_record(value)) for person_id, value in zip(person_ids, values, strict=True)]

    def get_with_age(self, person_id: int) -> tuple[Person, float]:
        """Read the person, and the seconds since the last lookup, in one round trip."""
        person = self._records.fetch(person_id)
        now = person.read.now[0] if person.read else 0
        return person, now - person.looked_up_at

    def list_recent(self, limit: int) -> list[Person]:
        """List the newest registered people, the newest first."""
        return [person for person in self.get_many(self.list_recent_ids(limit)) if person.is_registered]

    def list_recent_ids(self, limit: int) -> list[int]:
        """List the ids of the newest registered people, the newest first."""
        members: list[Any] = self.redis.zrange(self.keys.recent, 0, limit - 1, desc=True) if limit else []
        return [int(member) for member in members]

    def is_aged(self, person: Person) -> bool:
        """Returns True if the profile should be looked up again.

        By this machine's clock: a few minutes of six hours change nothing. A quarter late, so that the scheduled
        lookups of the newest come first.
        """
        return not person.is_pinned and self._wall_clock() - person.looked_up_at > 1.25 * self.check_seconds

    def is_kept_warm(self, subject: str, shown_by: Sequence[int] | None = None) -> bool:
        """Returns True if one of the newest people shows the subject, so that it is renewed and checked.

        `shown_by`: the ids that show the picture, if they are known.
        """
        subject = Subject(subject)
        pipe = self.redis.pipeline(transaction=False)
        people = [] if subject.is_person else self._list_showing(subject, shown_by)
        for member in [subject.user_id] if subject.is_person else [person.id for person in people]:
            pipe.zrevrank(self.keys.recent, str(member))
        return any(rank is not None and rank < self.keep for rank in pipe.execute())

    def list_following(self, file_id: str) -> list[int]:
        """List the ids that show this picture because it was in their profile."""
        members: Any = self.redis.smembers(self.keys.people(file_id)) if not Subject(file_id).is_person else ()
        people = self.get_many([int(member) for member in members])
        return [person.id for person in people if person.is_registered and not person.is_pinned]

    def _list_showing(self, file_id: str, shown_by: Sequence[int] | None = None) -> list[Person]:
        """List the people whose current picture this is. A previous picture is not kept warm."""
        if shown_by is None:
            members: Any = self.redis.smembers(self.keys.people(file_id))
            shown_by = [int(member) for member in members]
        return [person for person in self.get_many(shown_by) if person.photo_file_id == file_id]

    # Writing

    def register(self, person_id: int, name: str, file_id: str | None = None, *, by_user: bool = False) -> Registration:
        """Add or update a person, in two round trips. Registering again never changes the place in the list.

        A file id is pinned. Without one the profile is looked up, unless a picture is pinned and the user registers;
        the current picture stays until a newer one is ready. The tombstones of the id and the picture end here, and the
        negative cache entry of the id: it may have a picture by now. That of a picture runs out, however often it is
        registered, since its file id names the same bytes as before.
        """
        subject, made = Subject.of_person(person_id), [Registration(Person(person_id), False, False, False)]

        def change(record: Record, now: tuple[int, int]) -> Record:
            made[0] = note_registration(
                record, now, person_id, name, file_id, by_user=by_user, fresh_seconds=self.fresh_seconds
            )
            return record

        def write(pipe: Any, record: Record) -> None:
            pipe.zadd(self.keys.recent, {str(person_id): record["joined_us"]})
            pipe.zremrangebyrank(self.keys.recent, 0, -1 - max(RECENT_CAP, self.keep))
            if not made[0].is_repeat:
                pipe.delete(*self.keys.negatives(subject))

        lifted, look = [name for name in (subject, file_id) if name], Look(self.redis, self.keys)
        person = self._records.update(Person(person_id), change, write, lifted, execute=look.execute)
        assert person is not None  # noqa: S101 - a change that never returns None
        return made[0]._replace(person=person, outdates_lists=made[0].outdates_lists and look.has_found)

    def note_look_up(self, before: Person, photo: PhotoSize) -> Person | None:
        """Note the newest picture of the profile, to be shown once it is ready. Ends the tombstone of the picture.

        Returns None if the person was deleted meanwhile: nothing is written then.
        """

        def change(record: Record, now: tuple[int, int]) -> Record | None:
            if before.is_registered and not record:
                return None
            note_found(record, now, before.id, photo)
            return record

        subject = Subject.of_person(before.id)
        ended = [self.keys.retries(subject), self.keys.unavailable(subject)]  # after a refresh, the negative cache, too
        return self._records.update(before, change, lambda pipe, _: pipe.delete(*ended), [photo.file_id])

    def show(self, before: Person, photo: PhotoSize) -> bool:
        """Show this picture, found in the profile and ready. Returns False if it was deleted or replaced meanwhile."""

        def change(record: Record, _now: tuple[int, int]) -> Record | None:
            if not record or (record.get("is_pinned") and record.get("photo_file_id") != photo.file_id):
                return None
            if not record.get("is_pinned"):
                show_photo(record, photo.file_id, photo.unique_id, previous=None)
            return self._records.announce(record)

        return self._records.update(before, change, find_event=find_change(version_of(photo.unique_id))) is not None

    def announce_ready(
        self,
        file_id: str,
        find_version: Callable[[str], str | None],
        deadline: Deadline,
        shown_by: Sequence[int] | None = None,
    ) -> bool:
        """Write an event for each id that shows this picture, which is ready, unless one was written before.

        Call this after the picture is stored, and after a registration whose picture is stored already: of two
        processes that do both at once, the later one sees what the other one wrote. `shown_by`: these ids alone.
        Returns False if the deadline came first: call it again.
        """
        if self._records.outbox is None:
            return True

        def change(record: Record, _now: tuple[int, int]) -> Record | None:
            return self._records.announce(record) if record.get("photo_file_id") == file_id else None

        showing = self._list_showing(file_id, shown_by)
        unannounced = [person for person in showing if person.announced_file_id != file_id]
        find_event = find_change(find_version(file_id) if unannounced else None)
        for person in unannounced:
            if deadline.remaining <= 0:
                return False
            self._records.update(person, change, find_event=find_event)
        return True

    def drop_next(self, person_id: int) -> None:
        """Give up the picture found in the profile, which cannot be fetched. The current one stays."""

        def change(record: Record, _now: tuple[int, int]) -> Record | None:
            if not record:
                return None
            drop_next(record)
            return record

        self._records.update(Person(person_id), change)

    def drop_photos(self, person_id: int) -> tuple[str, ...]:
        """Show no picture, like the profile, unless one is pinned. Returns the file ids that this id ever showed.

        The record keeps them until `end_drop`: if the process ends before they are deleted, the next look does it.
        """
        return self._records.drop_photos(person_id)

    def end_drop(self, person_id: int) -> None:
        """Forget the file ids of `drop_photos`, whose pictures are deleted by now."""
        self._records.end_drop(person_id)

    def remove(self, person_id: int) -> Person:
        """Delete the record and the place. Returns the record as it was at its end."""
        return self._records.remove(person_id)

    def drop_places(self, person_ids: Sequence[int]) -> None:
        """Take ids without a record out of the list: a deletion in the middle of a registration leaves a place."""
        if person_ids:
            self.redis.zrem(self.keys.recent, *map(str, person_ids))


def open_people(settings: Settings, redis: Redis, keys: Keys, outbox: Outbox | None = None) -> People:
    """Open the records as the settings want them."""
    return People(
        redis,
        keys,
        keep=settings.rewarm_partners,
        ttl_seconds=settings.photo_ttl,
        check_seconds=settings.profile_check_every,
        outbox=outbox,
    )
