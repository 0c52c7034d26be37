"""Reads photo URLs, and defines what is answered in front of Flask.

The same URLs arrive again and again, so a valid one is checked once and then remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qs

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from warmer.formats import FORMATS
from warmer.keys import FILE_ID, Subject, parse_user_id
from warmer.photo_urls import PhotoUrls
from web.photos.placeholder import read_placeholder
from web.problems import Problem

PREFIXES = {"/api/photos/file/": "file", "/api/photos/user/": "user"}
PREFIX_LENGTH = 17
LIST_PATH = "/api/partner/recent"
PRIVATE_NETWORK = "Access-Control-Request-Private-Network"  # of a preflight; it changes any other answer, too
REMEMBERED = 4096  # requests
REMEMBERED_CHARACTERS = 600  # of path, query and Accept; a longer request is read each time
FORGED = "the signature does not fit this URL"


class RawRequest(NamedTuple):
    """All that the answer of a photo route depends on, as the client sent it."""

    method: str
    path: str  # decoded
    query: str  # as in the URL
    accept: str = ""
    if_none_match: str | None = None
    request_id: str | None = None  # X-Request-ID, which may be malformed


class ListRequest(NamedTuple):
    """All that the answer of the list depends on, as the client sent it."""

    method: str  # GET or HEAD
    query: str  # as in the URL
    authorization: str = ""
    origin: str | None = None
    accept_encoding: str | None = None
    request_id: str | None = None  # X-Request-ID, which may be malformed


class PhotoRequest(NamedTuple):
    """A picture that a client requests: its size, and the formats that suit the client best."""

    kind: str  # file or user
    subject: Subject
    size: int  # pixels
    formats: tuple[str, ...]  # all suit equally; in the order of PHOTO_FORMATS


class PhotoRequestParser:
    """Reads requests, and remembers the valid ones."""

    def __init__(self, urls: PhotoUrls, formats: Sequence[str]) -> None:
        self.urls = urls
        self.formats = tuple(formats)
        self._recall: Callable[[str, str, str], PhotoRequest] = lru_cache(REMEMBERED)(self._read)

    def read(self, path: str, query: str, accept: str) -> PhotoRequest:
        """Read the request. Raises Problem: 403 for a bad signature or a malformed id, then 400 for a field."""
        is_short = len(path) + len(query) + len(accept) <= REMEMBERED_CHARACTERS
        return (self._recall if is_short else self._read)(path, query, accept)

    def _read(self, path: str, query: str, accept: str) -> PhotoRequest:
        kind, name = PREFIXES[path[:PREFIX_LENGTH]], path[PREFIX_LENGTH:]
        subject = _parse_subject(kind, name)
        given = _parse(query)
        if subject is None or not self.urls.verify(f"{kind}:{name}", given.get("sig", [""])[0]):
            raise Problem(403, FORGED)
        size, *more = given.get("size") or [str(self.urls.size)]
        if more or size not in map(str, self.urls.sizes):
            raise Problem(400, f"size: must be one of {', '.join(map(str, self.urls.sizes))}")
        read_placeholder(given)  # checked only: it does not change the picture
        accepted = parse_accept_header(accept, MIMEAccept)
        return PhotoRequest(kind, subject, int(size), tuple(rank_formats(accepted, self.formats)))


def read_choice(query: str) -> str | None:
    """Returns the initials to draw in place of a missing picture, or None without a placeholder.

    The query is a valid one.
    """
    return read_placeholder(_parse(query))


def _parse(query: str) -> dict[str, list[str]]:
    return parse_qs(query, keep_blank_values=True)


def _parse_subject(kind: str, name: str) -> Subject | None:
    if kind == "file":
        return Subject(name) if FILE_ID.fullmatch(name) else None
    user_id = parse_user_id(name)
    return None if user_id is None else Subject.of_person(user_id)


def rank_formats(accept: MIMEAccept, formats: Sequence[str]) -> list[str]:
    """The formats that suit this Accept header best, in the given order; of these a stored one is sent first.

    WebP and AVIF need a client that names them: link previewers and old phones say `*/*` or `image/*` and show neither.
    The fallback is JPEG, or the first format without it: `image/*`, `*/*` or no header is enough for it, and a client
    that accepts none of the formats gets it. The highest q wins; at equal q a named format comes before the fallback.
    """
    fallback = "jpeg" if "jpeg" in formats else formats[0]
    mimes = {fmt: FORMATS[fmt].mime_type for fmt in formats}
    named = {mime.lower() for mime, _ in accept}
    qualities = {fmt: accept.quality(mime) for fmt, mime in mimes.items() if mime in named or fmt == fallback}
    best = max(qualities.values())
    if best <= 0:
        return [fallback]
    suited = [fmt for fmt in formats if qualities.get(fmt) == best]
    return [fmt for fmt in suited if fmt != "jpeg" and mimes[fmt] in named] or [fallback]
