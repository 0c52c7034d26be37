"""Warms many pictures in batches: registers, looks up or warms them, and then waits until they are there."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from warmer.cli.rows import Row
from warmer.keys import Subject
from warmer.wiring import WorkerContext

BATCH = 100  # rows
IN_FLIGHT_MAX = 500  # subjects published and not there yet; half of the publisher's maximum
LOOK_SECONDS = 0.5


class BulkWarming:
    """Publishes rows, and counts their outcomes."""

    def __init__(self, context: WorkerContext, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.context = context
        self._sleep = sleep
        self.counts: Counter[str] = Counter()  # ready, unavailable, none
        self.causes: Counter[str] = Counter()  # why pictures are unavailable
        self.settled = 0  # rows; without waiting, the published ones
        self._open: list[Subject] = []

    def warm(self, rows: Sequence[Row], *, waits: bool = True) -> Iterator[int]:
        """Publish all and wait for all. Yields how many are settled, after every look. Raises RedisError."""
        for start in range(0, len(rows), BATCH):
            batch = self._publish(rows[start : start + BATCH])
            if waits:
                self._open += batch
                yield from self._settle(IN_FLIGHT_MAX - BATCH)
            else:
                self.settled += len(batch)
                yield self.settled
        if waits:
            yield from self._settle(0)

    def _settle(self, left: int) -> Iterator[int]:
        while True:
            self._open = self._count_settled(self._open)
            self.settled = self.counts.total()
            yield self.settled
            if len(self._open) <= left:
                return
            self._sleep(LOOK_SECONDS)

    def _publish(self, rows: Sequence[Row]) -> list[Subject]:
        """Publish the missing pictures. Returns the subjects of all rows, in their order."""
        context, store = self.context, self.context.steps.store
        subjects = [row.subject for row in rows]
        ids = [Subject.of_person(row.user_id) for row in rows if row.user_id is not None]
        named = [row for row in rows if row.name and row.user_id is not None]
        for row in named:  # one after the other: the order of the rows is the order of the list
            context.people.register(row.user_id or 0, row.name, row.file_id)
        shown = self._list_shown(subjects)
        store.clear_tombstones(*subjects, *shown, *ids)
        profiles = [row.subject for row in named if not row.file_id]
        context.publisher.publish_all(list(dict.fromkeys([*self._list_cold(shown), *profiles])), "warm")
        return subjects

    def _list_cold(self, subjects: Sequence[Subject]) -> list[Subject]:
        photos = zip(subjects, self.context.steps.store.get_statuses(subjects), strict=True)
        return [subject for subject, photo in photos if photo.status == "warming"]

    def _list_shown(self, subjects: Sequence[Subject]) -> list[Subject]:
        """Each subject, with the picture in place of the id if it is known, in one round trip."""
        ids = [subject.user_id for subject in subjects if subject.is_person]
        shown = {Subject.of_person(person.id): person.subject for person in self.context.people.get_many(ids)}
        return [shown.get(subject, subject) for subject in subjects]

    def _count_settled(self, subjects: Sequence[Subject]) -> list[Subject]:
        """Count the settled subjects. Returns the others."""
        left, store = [], self.context.steps.store
        shown = self._list_shown(subjects)
        own = store.get_statuses(subjects) if subjects else []
        for subject, file_id, photo, mine in zip(subjects, shown, store.get_statuses(shown), own, strict=True):
            status = photo.status if photo.status != "warming" else mine.status
            if status == "warming":
                left.append(subject)
                continue
            self.counts[status] += 1
            if status == "unavailable":
                cause = store.get_unavailable(file_id) or store.get_unavailable(subject)
                self.causes[cause.cause if cause else "unknown"] += 1
        return left
