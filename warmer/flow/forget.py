"""Forgetting: afterwards nothing of the person remains, and nothing that is still under way comes back."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from redis import Redis

from warmer.keys import Keys, Subject
from warmer.state.people import People
from warmer.state.photos import PhotoStore

WAIT_SECONDS = 0.5  # the longest that a deletion waits for the web processes
POP_SECONDS = 0.1  # shorter than the read timeout of the web's connections
POP_SECONDS_MIN = 0.001  # less may be rounded to 0, and then Redis waits without an end
POPS_MAX = 8  # in one round trip: an idle Redis ends each wait up to 0.1 s late


@dataclass(frozen=True)
class Forget:
    """Deletes what is known about a person."""

    people: People
    store: PhotoStore

    def person(self, person_id: int) -> None:
        """Delete everything about this id: record, place, and each picture that no other person shows."""
        person = self.people.get(person_id)
        # The tombstone of the id comes first: it ends a worker that is looking the profile up just now.
        self.store.forget(Subject.of_person(person_id), *person.ever_shown, shown_by=person_id)
        # The record goes last, so that a call that broke off half-way can be made again.
        removed = self.people.remove(person_id)
        if removed != person:  # a worker wrote meanwhile
            self.photos(removed.ever_shown, person_id)
        elif removed.ever_shown:
            self.people.send_events(person_id)

    def hidden(self, person_id: int) -> None:
        """The profile shows no picture any more: delete each one that no other person shows. A pinned one stays."""
        if dropped := self.people.drop_photos(person_id):
            self.store.forget(*dropped, shown_by=person_id)
            self.people.end_drop(person_id)

    def photos(self, file_ids: Sequence[str], person_id: int) -> None:
        """This person shows these pictures no more. Each is deleted unless another person shows it."""
        if file_ids:
            self.store.forget(*file_ids, shown_by=person_id)
            self.people.send_events(person_id)


def wait_for_acknowledgements(
    redis: Redis, keys: Keys, seconds: float | None = None, clock: Callable[[], float] = time.monotonic
) -> bool:
    """Wait until every web process has seen the purges that were published before. Returns True if all did in time.

    A connection delivers messages in order, so a process that acknowledges has seen every earlier purge. `seconds`:
    WAIT_SECONDS unless given. `clock`: tells them.
    """
    key = keys.acknowledged(secrets.token_hex(8))
    end = clock() + (WAIT_SECONDS if seconds is None else seconds)
    # A subscriber that is no web process counts here and never acknowledges. PUBSUB NUMSUB would tell them apart, but
    # in Valkey 9.1.2 its answer is wrong for eight subscribers.
    missing = redis.publish(keys.acknowledge, key)
    while missing > 0 and (left := end - clock()) > 0:
        pipe: Any = redis.pipeline(transaction=False)
        for _ in range(min(missing, POPS_MAX)):  # Redis blocks on one after the other
            pipe.blpop([key], max(POP_SECONDS_MIN, min(POP_SECONDS, left / missing)))
        missing -= sum(1 for popped in pipe.execute() if popped)
    return missing <= 0
