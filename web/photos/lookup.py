"""Looks in Redis for the picture of a request: it is stored, known to be unavailable, or missing.

A missing one is requested from the workers and awaited.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from flask import Flask

from warmer.etag import StoredVariant
from warmer.keys import Subject
from warmer.photo import Unavailable, VariantSpec
from warmer.state.person import load_record, read_person
from web.photos.cache import Answer, Headers
from web.photos.context import PhotoContext
from web.photos.request import PhotoRequest
from web.photos.response import Validators, finish, is_known
from web.photos.waiting import Overloaded
from web.signals import announce, photo_missed, photo_overloaded, profile_aged


class _Hit(NamedTuple):
    """A stored picture."""

    variant: StoredVariant
    format: str
    file_id: str


class Sign(NamedTuple):
    """A command to Redis, and what tells from its answer whether a look could do anything now."""

    command: tuple[str, ...]
    is_news: Callable[[Any], bool]


class PhotoLookup:
    """Looks for the picture of one request."""

    def __init__(
        self,
        app: Flask,
        context: PhotoContext,
        photo_request: PhotoRequest,
        common: Headers,
    ) -> None:
        """`common`: the headers of every answer of the photo routes."""
        self.app = app
        self.context = context
        self.photo_request = photo_request
        self.common = common
        self._shown: list[str] = []  # file ids that the subject showed at the last look
        self._signs: list[Sign] = []  # remembered until the next look: to spell the keys takes longer than to send them

    @property
    def subjects(self) -> set[str]:
        """The subjects whose "done" can bring the picture, as the last look found them."""
        return {self.photo_request.subject, *self._shown}

    def read(self, validators: Validators) -> Answer | Unavailable | None:
        """Returns what is stored now: the picture, or why there is none. Returns None if nothing is known.

        If every client has the picture's bytes, as its validator says, only the ETag is read. The response cache
        learns of the picture, unless it is an older one of the subject's.
        """
        context, photo_request = self.context, self.photo_request
        context.listener.ensure_started()
        generation, read_at = context.cache.get_generation(), context.clock()
        found = self._find(validators)
        if isinstance(found, Unavailable):
            context.cache.drop(photo_request)
        if not isinstance(found, _Hit):
            return found
        tags = {photo_request.subject, *self._shown}
        answer = finish(
            photo_request,
            found.variant,
            found.format,
            common=self.common,
            read_at=read_at,
            tags=tags,
            cache_tag=context.cache_tags.format(photo_request.subject, found.file_id),
        )
        if found.file_id == self._shown[0]:
            context.cache.put(photo_request, answer, generation)
        return answer

    @property
    def is_in_memory(self) -> bool:
        """Returns True if another look has put the picture into the response cache.

        The ETag alone would not be enough for every client that waits: its picture may be gone from Redis.
        """
        answer = self.context.cache.get(self.photo_request)
        return answer is not None and answer.body is not None

    def until_ready(self, validators: Validators) -> Answer | Unavailable | None:
        """After a look that found nothing: request the picture and wait. Returns None if it is not ready in time."""
        look = partial(self.read, validators)
        try:
            return self.context.waiting.wait_for(self.subjects, look, self.request_warming)
        except Overloaded:
            found = look()
        if found is None:
            announce(photo_overloaded, self.app, subject=self.photo_request.subject)
        return found

    def request_warming(self) -> Subject | None:
        """Announce the miss, and queue the subject for a worker. Returns it if one will process it soon, else None."""
        subject, wanted = self._choose_warmed()
        announce(photo_missed, self.app, subject=subject, wanted=wanted)  # your own listeners hear it; next, we act
        return subject if self.context.publisher.publish_hot(subject, wanted) else None

    @property
    def signs(self) -> list[Sign]:
        """The signs that `read`, which found nothing, or `request_warming` could do anything now."""
        if not self._signs:
            self._signs = self._list_signs()
        return self._signs

    def _list_signs(self) -> list[Sign]:
        """Keep this complete: it asks for everything that those two ask for."""
        context, subject = self.context, self.photo_request.subject
        warmed, wanted = self._choose_warmed()
        lease, enqueued, noted = context.publisher.list_hot_keys(warmed)
        # EXISTS counts a key as often as it is named. So the lease and the marker count 1 or 2, if a worker is to come,
        # and a key that brings an answer counts 3.
        signs = [Sign(("EXISTS", lease, enqueued, *(3 * self._list_answering_keys(warmed))), _ends_the_wait)]
        if wanted:
            signs.append(Sign(("SMEMBERS", noted), partial(_lacks, str(wanted).encode())))
        signs += [Sign(("EXISTS", *self._list_answering_keys(previous)), bool) for previous in self._shown[1:]]
        if subject.is_person:
            record = context.people.keys.person(subject.user_id)
            signs.append(Sign(("GET", record), partial(_shows_others, subject.user_id, self._shown)))
        return signs

    def _list_answering_keys(self, subject: str) -> list[str]:
        return self.context.store.list_answering_keys(subject, self.photo_request.size, self.photo_request.formats)

    def _choose_warmed(self) -> tuple[Subject, VariantSpec | None]:
        """Choose the subject that a worker should process, and the variant that it should make first."""
        subject = Subject(self._shown[0]) if self._shown else self.photo_request.subject
        wanted = None if subject.is_person else VariantSpec(self.photo_request.size, self.photo_request.formats[0])
        return subject, wanted

    def _find(self, validators: Validators) -> _Hit | Unavailable | None:
        shown = self._shown = self._list_shown()
        self._signs = []
        for file_id in shown:
            for fmt in self.photo_request.formats:
                if variant := self._get(file_id, fmt, validators):
                    return _Hit(variant, fmt, file_id)
        return self.context.store.get_unavailable(shown[0] if shown else self.photo_request.subject)

    def _list_shown(self) -> list[str]:
        """List the file ids to look for: the one that the id shows now, then the one that it showed before."""
        subject, context = self.photo_request.subject, self.context
        if self.photo_request.kind == "file":
            return [subject]
        person = context.people.get(subject.user_id)
        if person.shown and context.people.is_aged(person):
            announce(profile_aged, self.app, subject=subject)
        return list(person.shown)

    def _get(self, file_id: str, fmt: str, validators: Validators) -> StoredVariant | None:
        """Returns the variant, without its bytes if every client has them."""
        store, size = self.context.store, self.photo_request.size
        if all(validators):
            header = store.get_header(file_id, size, fmt)
            if header is None or all(is_known(header.etag, validator) for validator in validators):
                return header
        return store.get(file_id, size, fmt)


# These functions read the answers to the signs. They are no methods: a sign that held its lookup would keep it in
# memory after the flight, until a garbage collection.


def _ends_the_wait(count: int) -> bool:
    return count not in (1, 2)


def _lacks(wanted: bytes, noted: set[bytes]) -> bool:
    return wanted not in noted


def _shows_others(user_id: int, shown: list[str], record: bytes | None) -> bool:
    """Returns True if a person with this record shows other pictures than these."""
    return list(read_person(user_id, load_record(record)).shown) != shown
