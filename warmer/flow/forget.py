"""Forgetting: afterwards nothing of the partner remains, and nothing that is still under way comes back."""

from __future__ import annotations

from collections.abc import Sequence

from warmer.keys import user_subject
from warmer.state.partners import PartnerDirectory
from warmer.state.photos import PhotoStore
from warmer.state.profiles import Profiles
from warmer.state.schedule import Due


class Forget:
    """Deletes what is known about a partner."""

    def __init__(self, partners: PartnerDirectory, profiles: Profiles, store: PhotoStore, due: Due) -> None:
        self.partners = partners
        self.profiles = profiles
        self.store = store
        self.due = due

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
        self.due.drop(subject)

    def photos(self, file_ids: Sequence[str], partner_id: int) -> None:
        """This partner shows these pictures no more; each goes when nobody else does."""
        if file_ids:
            self.due.drop(*self.store.forget_all(file_ids, partner_id))
