"""Finds and deletes the pictures that `avatar-warmer purge` names: those of an id, or all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from warmer.keys import Subject
from warmer.state.person import list_rewarmed
from warmer.state.purge import purge_photos
from warmer.wiring import WorkerContext

SCAN_KEYS = 1000  # per round trip
REFETCHED = r"\d+\.\w+|preview|path|unavailable|failures|negative_count|backoff|lease|crashes|enqueued:\w+"


def list_subjects(context: WorkerContext, user_id: int) -> list[str]:
    """Return the id itself, and the pictures that it shows."""
    person = context.people.get(user_id)
    return list(dict.fromkeys([Subject.of_person(user_id), *filter(None, (*person.shown, person.next_file_id))]))


def purge_subjects(context: WorkerContext, subjects: Sequence[str]) -> int:
    """Purge these; pictures that are kept warm are due at once. Returns for how many of them something was stored."""
    number = purge_photos(context.steps.store, subjects)
    context.schedule.set_all([subject for subject in subjects if context.people.is_kept_warm(subject)], 0)
    return number


def purge_everything(context: WorkerContext) -> int:
    """Purge all subjects of this bot, batch by batch; the newest people are due at once. Returns the number."""
    prefix, number = context.keys.prefix, 0
    refetched = re.compile(re.escape(prefix) + r"\{(.+)\}:(?:" + REFETCHED + ")")
    names = context.redis.scan_iter(f"{prefix}{{*", count=SCAN_KEYS)
    while batch := list(islice(names, SCAN_KEYS)):
        matches = [refetched.fullmatch(name.decode()) for name in batch]
        number += purge_photos(context.steps.store, {match[1] for match in matches if match})
    newest = context.people.list_recent_ids(context.people.keep)
    for start in range(0, len(newest), 50):
        found = [person for person in context.people.get_many(newest[start : start + 50]) if person.is_registered]
        context.schedule.set_all([subject for person in found for subject in list_rewarmed(person)], 0)
    return number
