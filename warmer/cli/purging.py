"""Deletes stored pictures so that they are fetched anew. Records, places and tombstones stay."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from redis import Redis

from warmer.keys import Keys, Subject
from warmer.state.people import People
from warmer.state.person import list_rewarmed
from warmer.state.photos import PhotoStore
from warmer.state.schedule import Schedule

SCAN_KEYS = 1000  # per round trip
PASSING = re.compile(r"\d+\.\w+|preview|path|unavailable|failures|negative_count|backoff|lease|crashes|enqueued:\w+")


class Purge:
    """Deletes variants and negative cache entries. The pictures of the newest people are due at once."""

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        store: PhotoStore,
        people: People,
        schedule: Schedule,
    ) -> None:
        self.redis = redis
        self.keys = keys
        self.store = store
        self.people = people
        self.schedule = schedule

    def list_subjects(self, user_id: int) -> list[str]:
        """The id itself, and the pictures that it shows."""
        person = self.people.get(user_id)
        found = [*person.shown, *([person.next_file_id] if person.next_file_id else [])]
        return list(dict.fromkeys([Subject.of_person(user_id), *found]))

    def subjects(self, subjects: Sequence[str]) -> int:
        """Purge these. Returns for how many of them something was stored."""
        number = self._drop(subjects)
        self.schedule.set_all([subject for subject in subjects if self.people.is_kept_warm(subject)], 0)
        return number

    def everything(self) -> int:
        """Purge all subjects of this bot, batch by batch. Returns how many there were."""
        number, passing = 0, re.compile(re.escape(self.keys.prefix) + r"\{(.+)\}:(?:" + PASSING.pattern + ")")
        names = self.redis.scan_iter(f"{self.keys.prefix}{{*", count=SCAN_KEYS)
        while batch := list(islice(names, SCAN_KEYS)):
            matches = [passing.fullmatch(name.decode()) for name in batch]
            number += self._drop(list({match[1] for match in matches if match}))
        self._schedule_newest()
        return number

    def _drop(self, subjects: Sequence[str]) -> int:
        """The lease goes in the same command, so that a worker with the subject in hand writes nothing.

        So does the enqueued marker, so that clients can ask anew. The variants that they wait for stay wanted.
        """
        pipe = self.redis.pipeline(transaction=False)
        for subject in subjects:
            pipe.unlink(*self.store.list_passing(subject))
            pipe.publish(self.keys.purge, subject)
        return sum(1 for removed in pipe.execute()[::2] if removed)

    def _schedule_newest(self) -> None:
        newest = self.people.list_recent_ids(self.people.keep)
        for start in range(0, len(newest), 50):
            found = [person for person in self.people.get_many(newest[start : start + 50]) if person.is_registered]
            self.schedule.set_all([subject for person in found for subject in list_rewarmed(person)], 0)
