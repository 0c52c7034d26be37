"""Refreshes: profiles that are to be looked up now, whatever is known about them, each at most once a minute.

The worker that takes the lease of a wanted one looks the profile up (`Lease.refresh`), even if a lookup was a moment
ago or the negative cache knows the id. What is shown stays until the lookup has a result.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from redis import Redis

from warmer.keys import REFRESH_SECONDS, REFRESHED_SECONDS, Keys, Subject
from warmer.state.lease import Lease
from warmer.state.person import Person, load_record, read_person
from warmer.state.schedule import Schedule
from warmer.state.scripts import load_script, queue


class Refreshes:
    """Requests refreshes and ends them."""

    def __init__(self, redis: Redis, keys: Keys, schedule: Schedule) -> None:
        self.redis = redis
        self.keys = keys
        self.schedule = schedule
        self._request = load_script(redis, "lua/request_refresh.lua")
        self._end = load_script(redis, "lua/end_refresh.lua")

    def request(self, people: Sequence[Person]) -> list[Subject]:
        """Request a lookup of these profiles, in one round trip. Returns those to publish now.

        One that was refreshed within the last minute is scheduled for the end of that minute, in a second round trip.
        Nothing is requested for a pinned picture and for a forgotten person.
        """
        subjects, token = [Subject.of_person(one.id) for one in people if not one.is_pinned], secrets.token_hex(8)
        pipe: Any = self.redis.pipeline(transaction=False)
        for subject in subjects:
            names = [*self._list_keys(subject), self.keys.negative_count(subject)]
            queue(pipe, self._request, keys=names, args=[token, REFRESH_SECONDS])
        waits = dict(zip(subjects, pipe.execute(), strict=True))
        if later := [subject for subject, wait_ms in waits.items() if wait_ms > 0]:
            self.schedule.schedule_by(later, max(waits.values()) / 1000)
        return [subject for subject, wait_ms in waits.items() if wait_ms == 0]

    def end(self, lease: Lease) -> None:
        """End the refresh that this lease is for, if there is one: the lookup has an outcome."""
        if lease.refresh:
            self._end(keys=self._list_keys(lease.subject), args=[lease.refresh, REFRESHED_SECONDS])
            lease.refresh = ""

    def read(self, person_id: int) -> tuple[Person, float | None]:
        """Return the person, and the seconds until a wanted refresh may start, in one round trip.

        Returns None beside the person if no refresh is wanted.
        """
        _, wanted, refreshed = self._list_keys(Subject.of_person(person_id))
        pipe: Any = self.redis.pipeline(transaction=False)
        pipe.get(self.keys.person(person_id))
        pipe.exists(wanted)
        pipe.ttl(refreshed)
        value, is_wanted, ttl = pipe.execute()
        seconds = ttl + 1.0 if ttl >= 0 else 0.0  # Redis rounds to whole seconds
        return read_person(person_id, load_record(value)), seconds if is_wanted else None

    def list_wanted(self, subjects: Sequence[Subject]) -> set[Subject]:
        """Return those whose lookup has no outcome yet, in one round trip."""
        pipe: Any = self.redis.pipeline(transaction=False)
        for subject in subjects:
            pipe.exists(self.keys.refresh(subject))
        return {subject for subject, is_wanted in zip(subjects, pipe.execute(), strict=True) if is_wanted}

    def _list_keys(self, subject: Subject) -> list[str]:
        return [self.keys.forgotten(subject), self.keys.refresh(subject), self.keys.refreshed(subject)]
