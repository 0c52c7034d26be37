"""What a photo URL asks for: checked once, then remembered, since the same URLs are asked for again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qs

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from warmer.keys import FILE_ID, parse_user_id, user_subject
from warmer.photo import MIME_TYPES
from web.photos.placeholder import Placeholder, read_placeholder
from web.photos.urls import PhotoUrls
from web.problems import Problem

PREFIXES = {"/api/photos/file/": "file", "/api/photos/user/": "user"}
PREFIX_LENGTH = 17
REMEMBERED = 4096  # wishes
REMEMBERED_CHARACTERS = 600  # of path, query and Accept; a longer one is read each time
FORGED = "the signature does not fit this URL"


class PhotoRequest(NamedTuple):
    """A picture that a client wants: the size, and the formats it likes best."""

    kind: str  # file or user
    subject: str  # a file id, or user:<id>
    size: int  # pixels
    formats: tuple[str, ...]  # of one quality, in our order


class PhotoRequestParser:
    """Reads wishes. What is refused raises, and is not remembered."""

    def __init__(self, urls: PhotoUrls, formats: Sequence[str]) -> None:
        self.urls = urls
        self.formats = tuple(formats)
        self._recall: Callable[[str, str, str], PhotoRequest] = lru_cache(REMEMBERED)(self._read)

    def read(self, path: str, query: str, accept: str) -> PhotoRequest:
        """The wish; raises Problem: 403 for a bad signature or a malformed id, then 400 for a field."""
        is_short = len(path) + len(query) + len(accept) <= REMEMBERED_CHARACTERS
        return (self._recall if is_short else self._read)(path, query, accept)

    def _read(self, path: str, query: str, accept: str) -> PhotoRequest:
        kind, name = PREFIXES[path[:PREFIX_LENGTH]], path[PREFIX_LENGTH:]
        subject = name if kind == "file" else _subject_of(name)
        given = _parse(query)
        signed = f"file:{name}" if kind == "file" else subject
        if not subject or not self._is_signed(signed, given.get("sig", [""])[0]):
            raise Problem(403, FORGED)
        if kind == "file" and not FILE_ID.fullmatch(name):
            raise Problem(403, FORGED)
        size, *more = given.get("size") or [str(self.urls.size)]
        if more or size not in map(str, self.urls.sizes):
            raise Problem(400, f"size: must be one of {', '.join(map(str, self.urls.sizes))}")
        read_placeholder(given)  # no part of the wish: the picture is the same with it
        accepted = parse_accept_header(accept, MIMEAccept)
        return PhotoRequest(kind, subject, int(size), tuple(rank_formats(accepted, self.formats)))

    def _is_signed(self, message: str, signature: str) -> bool:
        return self.urls.verify(message, signature)


def read_choice(query: str) -> Placeholder | None:
    """What is to be shown instead of a picture that is not there; of a query that was not refused."""
    return read_placeholder(_parse(query))


def _parse(query: str) -> dict[str, list[str]]:
    return parse_qs(query, keep_blank_values=True)


def _subject_of(name: str) -> str:
    user_id = parse_user_id(name)
    return "" if user_id is None else user_subject(user_id)


ANY_PICTURE = {"*/*", "image/*"}


def rank_formats(accept: MIMEAccept, formats: Sequence[str]) -> list[str]:
    """The formats of the highest q, in our order; of these a stored one is sent first.

    No Accept, `*/*` and `image/*` get the first format, and so does a client that accepts none of ours: never 406.
    """
    if all(mime in ANY_PICTURE for mime, _ in accept):
        return list(formats[:1])
    qualities = {fmt: accept.quality(MIME_TYPES[fmt]) for fmt in formats}
    best = max(qualities.values())
    return [fmt for fmt in formats if qualities[fmt] == best] if best > 0 else list(formats[:1])
