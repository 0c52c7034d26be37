"""Many pictures ahead of time, in batches: registered, looked up or warmed, and then followed until they are there."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from warmer.cli.rows import Row
from warmer.keys import Subject, user_subject
from warmer.state.partners import subject_of
from warmer.wiring import WorkerContext

BATCH = 100  # rows
IN_FLIGHT_MAX = 500  # subjects asked for and not there yet; half of what the publisher lets wait
LOOK_SECONDS = 0.5


class Bulk:
    """Asks for rows, and counts what became of them."""

    def __init__(self, context: WorkerContext, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.context = context
        self._sleep = sleep
        self.counts: Counter[str] = Counter()  # ready, unavailable, none
        self.causes: Counter[str] = Counter()  # of those unavailable
        self.settled = 0  # rows; without waiting, those that were asked for
        self._open: list[str] = []

    def warm(self, rows: Sequence[Row], *, waits: bool = True) -> Iterator[int]:
        """Ask for all, and wait for all; how many are settled, again and again. Raises RedisError."""
        for start in range(0, len(rows), BATCH):
            batch = self._ask(rows[start : start + BATCH])
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
            self._open = self._look(self._open)
            self.settled = self.counts.total()
            yield self.settled
            if len(self._open) <= left:
                return
            self._sleep(LOOK_SECONDS)

    def _ask(self, rows: Sequence[Row]) -> list[str]:
        """Publish what is not there; every subject that was asked for, in the order of the rows."""
        context, store = self.context, self.context.steps.store
        subjects = [row.file_id or user_subject(row.user_id or 0) for row in rows]
        store.clear_tombstones(*subjects, *(user_subject(row.user_id) for row in rows if row.user_id is not None))
        self._register_all([row for row in rows if row.name])
        shown = self._list_shown(subjects)
        store.clear_tombstones(*shown)
        photo_statuses = store.get_statuses(shown)
        cold = [
            subject
            for subject, get_statuses in zip(shown, photo_statuses, strict=True)
            if get_statuses.status == "warming"
        ]
        named = [row for row in rows if row.name and not row.file_id]
        follows = [user_subject(row.user_id) for row in named if row.user_id is not None]
        context.publisher.ask_all(list(dict.fromkeys([*cold, *follows])), "warm")
        return subjects

    def _register_all(self, named: Sequence[Row]) -> None:
        """One after the other, for the order is theirs; what is to be looked up is looked up anew."""
        steps, follows = self.context.steps, []
        for row in named:
            if row.user_id is not None:
                self.context.partners.register(row.user_id, row.name, row.file_id)
                follows += [row.user_id] if row.file_id is None else []
        if follows:
            steps.store.clear_unavailable(*map(user_subject, follows))
        for user_id, profile in zip(follows, steps.profiles.get_many(follows), strict=True):
            if profile:
                steps.profiles.mark_old(user_id)

    def _list_shown(self, subjects: Sequence[str]) -> list[str]:
        """Each subject, an id's picture instead of the id where it is known, in two round trips."""
        ids = [one.user_id for one in map(Subject, subjects) if one.is_person]
        partners, profiles = self.context.partners.get_many(ids), self.context.steps.profiles.get_many(ids)
        known: dict[str, str] = {
            user_subject(user_id): profile.file_id if profile else user_subject(user_id)
            for user_id, profile in zip(ids, profiles, strict=True)
        }
        known |= {user_subject(p.id): subject_of(p) for p in partners if p and p.photo_file_id}
        return [known.get(subject, subject) for subject in subjects]

    def _look(self, subjects: Sequence[str]) -> list[str]:
        """Count what is settled; the others."""
        left, store = [], self.context.steps.store
        shown = self._list_shown(subjects)
        own = store.get_statuses(subjects) if subjects else []
        for subject, file_id, get_statuses, mine in zip(subjects, shown, store.get_statuses(shown), own, strict=True):
            status = get_statuses.status if get_statuses.status != "warming" else mine.status
            if status == "warming":
                left.append(subject)
                continue
            self.counts[status] += 1
            if status == "unavailable":
                cause = store.get_unavailable(file_id) or store.get_unavailable(subject)
                self.causes[cause.cause if cause else "unknown"] += 1
        return left
