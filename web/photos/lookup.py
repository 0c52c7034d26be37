"""One look into Redis: a picture, the knowledge that there is none, or nothing; and the wait for what is missing."""

from __future__ import annotations

from typing import NamedTuple

from flask import Flask

from warmer.photo import StoredVariant, Unavailable, VariantSpec
from web.context import WebContext
from web.photos.request import PhotoRequest
from web.photos.response import is_known
from web.photos.waiting import Overloaded
from web.signals import photo_missed, photo_overloaded, profile_aged


class Hit(NamedTuple):
    """A stored picture; `shown` is what the subject shows, the newest first: an earlier one until that is ready."""

    variant: StoredVariant
    format: str
    file_id: str
    shown: list[str]

    @property
    def is_newest(self) -> bool:
        return self.file_id == self.shown[0]


class PhotoLookup:
    """Looks for one wish of one request."""

    def __init__(self, app: Flask, context: WebContext, photo_request: PhotoRequest, if_none_match: str | None) -> None:
        self.app = app
        self.context = context
        self.photo_request = photo_request
        self.if_none_match = if_none_match

    def now(self) -> Hit | Unavailable | None:
        """What is stored for it now."""
        shown = self._list_shown()
        for file_id in shown:
            for fmt in self.photo_request.formats:
                if variant := self._get(file_id, fmt):
                    return Hit(variant, fmt, file_id, shown)
        return self.context.store.get_unavailable(shown[0] if shown else self.photo_request.subject)

    def until_ready(self) -> Hit | Unavailable | None:
        """Ask for the picture, and wait a bounded while."""
        try:
            return self.context.waiting.wait_for({self.photo_request.subject, *self._list_shown()}, self.now, self._ask)
        except Overloaded:
            self._ask()  # for the client's next try
        if (found := self.now()) is None:
            photo_overloaded.send(self.app, subject=self.photo_request.subject)
        return found

    def _list_shown(self) -> list[str]:
        """The file ids to look for, best first: what the id shows now, then what it showed until that is ready."""
        subject, context = self.photo_request.subject, self.context
        if self.photo_request.kind == "file":
            return [subject]
        user_id = int(subject.removeprefix("user:"))
        partner = context.partners.get(user_id)
        if partner and partner.photo_file_id:
            if not partner.is_pinned:
                self._check_age(partner.looked_up_at)
            return [partner.photo_file_id, *([partner.previous_file_id] if partner.previous_file_id else [])]
        profile = context.profiles.get(user_id)
        if profile:
            self._check_age(profile.looked_up_at)
        return [profile.file_id] if profile else []

    def _check_age(self, looked_up_at: int) -> None:
        if self.context.profiles.is_aged(looked_up_at):
            profile_aged.send(self.app, subject=self.photo_request.subject)

    def _get(self, file_id: str, fmt: str) -> StoredVariant | None:
        """The variant, without its bytes where the client has them."""
        store, size = self.context.store, self.photo_request.size
        if self.if_none_match:
            header = store.get_header(file_id, size, fmt)
            if header is None or is_known(f'"{header.etag}"', self.if_none_match):
                return header
        return store.get(file_id, size, fmt)

    def _ask(self) -> bool:
        subject = next(iter(self._list_shown()), self.photo_request.subject)
        wanted = (
            None if subject.startswith("user:") else VariantSpec(self.photo_request.size, self.photo_request.formats[0])
        )
        return any(at_it for _, at_it in photo_missed.send(self.app, subject=subject, wanted=wanted))
