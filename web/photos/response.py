"""Makes finished answers: headers that do not change from request to request are formatted once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from werkzeug.http import parse_etags
from werkzeug.wrappers import Response

from warmer.etag import StoredVariant
from warmer.formats import FORMATS
from warmer.request_id import HEADER
from web.photos.cache import Answer, Headers
from web.photos.request import PhotoRequest

CACHE_CONTROL = {
    "file": "public, max-age=604800, immutable",  # a file id names immutable bytes
    "user": "public, max-age=300, stale-while-revalidate=86400",
}
ABSENT_CACHE = "public, max-age=60"
ON_EVERY_ANSWER: Headers = [
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "Retry-After"),
    ("Cross-Origin-Resource-Policy", "cross-origin"),
]
SANDBOX = ("Content-Security-Policy", "default-src 'none'; sandbox")
NO_SNIFFING = ("X-Content-Type-Options", "nosniff")
# Only with a body: a cache keeps the headers that a 304 does not repeat (RFC 9111, 4.3.4).
ABOUT_THE_BYTES: Headers = [SANDBOX, NO_SNIFFING]
Validators = Collection[str | None]  # If-None-Match of each client that gets the answer
HIT, MISS = ("Cache-Status", "avatar-warmer; hit"), ("Cache-Status", "avatar-warmer; fwd=miss")  # RFC 9211


class Reply(NamedTuple):
    """A whole answer."""

    status: str  # such as `200 OK`
    headers: Headers
    body: bytes  # empty for HEAD and for 304


def to_reply(response: Response, method: str) -> Reply:
    """Make the answer that werkzeug would give to a request with this method."""
    body, status, headers = response.get_wsgi_response({"REQUEST_METHOD": method})  # it reads no more of the environ
    return Reply(status, headers, b"".join(body))


def list_common_headers(formats: Sequence[str]) -> Headers:
    """List the headers of every answer of the photo routes, errors included."""
    return [*ON_EVERY_ANSWER, ("Vary", "Accept")] if len(formats) > 1 else ON_EVERY_ANSWER


def finish(
    photo_request: PhotoRequest,
    variant: StoredVariant,
    fmt: str,
    *,
    common: Headers,
    read_at: float,
    tags: Iterable[str],
    cache_tag: tuple[str, str],
) -> Answer:
    """Make the answer with this variant. `common`: the headers of every answer of the photo routes.

    `cache_tag`: a header, which a 304 carries, too. If an id shows another picture with the same bytes and so the same
    ETag, caches take the new tag from it.
    """
    about = [("ETag", variant.etag), ("Cache-Control", CACHE_CONTROL[photo_request.kind]), cache_tag, *common]
    described = [("Content-Type", FORMATS[fmt].mime_type), ("Content-Length", str(len(variant.body))), *about]
    return Answer(variant.etag, [*described, *ABOUT_THE_BYTES], about, variant.body or None, read_at, frozenset(tags))


def list_own_headers(request_id: str, seconds: float, timings: str = "") -> Headers:
    """List the headers that differ from answer to answer. `timings`: entries of Server-Timing before the total."""
    milliseconds = f"{seconds * 1000:.1f}"
    return [
        (HEADER, request_id),
        ("X-Response-Time", f"{milliseconds}ms"),
        ("Server-Timing", f"{timings}total;dur={milliseconds}"),
    ]


def is_enough(answer: Answer, validators: Validators) -> bool:
    """Returns False if the cache holds only the ETag, and a client has other bytes or none."""
    return answer.body is not None or all(is_known(answer.etag, validator) for validator in validators)


def is_known(etag: str, if_none_match: str | None) -> bool:
    """Returns True if the client has exactly these bytes (If-None-Match compares weakly; RFC 9110, 13.1.2)."""
    if not if_none_match:
        return False
    if if_none_match == etag:  # what browsers send
        return True
    known = parse_etags(if_none_match)
    return known.star_tag or known.contains_weak(etag.strip('"'))
