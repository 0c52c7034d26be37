"""Forgetting: afterwards nothing of the partner remains, and nothing that is still under way comes back."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

from redis import Redis

from warmer.keys import Keys, user_subject
from warmer.state.partners import PartnerDirectory
from warmer.state.photos import PhotoStore
from warmer.state.profiles import Profiles
from warmer.state.schedule import Schedule

ACKNOWLEDGE_SECONDS = 0.5  # the longest that a deletion waits for the web processes
POP_SECONDS = 0.1  # shorter than the read time-out of the web's connections


class Forget:
    """Deletes what is known about a partner."""

    def __init__(self, partners: PartnerDirectory, profiles: Profiles, store: PhotoStore, schedule: Schedule) -> None:
        self.partners = partners
        self.profiles = profiles
        self.store = store
        self.schedule = schedule

    def partner(self, partner_id: int) -> None:
        """Forget everything about this id: record, place, profile, and each picture that nobody else shows."""
        subject = user_subject(partner_id)
        self.store.forget(subject)  # first: it ends a worker that is following the profile just now
        profile = self.profiles.get(partner_id)
        shown = [*self.partners.list_ever_shown(partner_id), *(profile.list_ever_shown() if profile else [])]
        self.photos(shown, partner_id)
        # The record goes last: a call that broke off half-way can be made again. What was adopted meanwhile goes too.
        self.photos(self.partners.remove(partner_id), partner_id)
        self.profiles.drop(partner_id)
        self.schedule.cancel(subject)

    def photos(self, file_ids: Sequence[str], partner_id: int) -> None:
        """This partner shows these pictures no more; each goes when nobody else does."""
        if file_ids:
            self.schedule.cancel(*self.store.forget_all(file_ids, partner_id))


def wait_for_acknowledgements(redis: Redis, keys: Keys) -> bool:
    """Wait until every web process has seen the purges that were published before. Returns True if all did in time.

    A connection delivers messages in order, so a process that acknowledges has seen every earlier purge.
    """
    key = keys.acknowledged(secrets.token_hex(8))
    end = time.monotonic() + ACKNOWLEDGE_SECONDS
    # A subscriber that is no web process counts here and never acknowledges. PUBSUB NUMSUB would tell them apart, but
    # in Valkey 9.1.2 its answer is wrong for eight subscribers.
    missing = redis.publish(keys.acknowledge, key)
    while missing > 0 and time.monotonic() < end:
        if redis.blpop([key], POP_SECONDS):
            missing -= 1
    return missing <= 0
