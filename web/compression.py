"""Compresses text for clients that accept gzip: lists and other JSON, pages, scripts, styles.

Pictures never get here: their routes are in front of Flask. Problem documents stay as they are. Bytes that never change
are compressed once, as well as gzip can, and handed to `offer_gzip`. Why compression reveals no secret (BREACH):
docs/http.md, "Compression".
"""

from __future__ import annotations

import gzip

from flask import Flask, Response, request

TYPES = ("application/json", "text/html", "text/css", "text/javascript")
STATUSES = (200, 201, 202, 304)
UNCOMPRESSED = (206, 412)  # a range is one of the uncompressed bytes; a 412 keeps the ETag that it was asked about
MIN_BYTES = 1000  # less fits into one packet anyway
LEVEL = 1  # a list is mostly signatures and previews: level 6 takes twice as long for 4 % fewer bytes, measured
BEST_LEVEL = 9


def init_app(app: Flask) -> None:
    """Compress the answers of this app's routes. One that is encoded or streamed passes as it is."""

    @app.after_request
    def compress(response: Response) -> Response:
        if response.mimetype not in TYPES or response.status_code not in STATUSES:
            return response
        if response.is_streamed or response.direct_passthrough or "Content-Encoding" in response.headers:
            return response
        if len(response.get_data()) >= MIN_BYTES:
            offer_gzip(response)
        return response


def compress_once(body: bytes) -> bytes | None:
    """Return these bytes in as few as gzip needs, to be kept, or None if they are too few to compress."""
    return gzip.compress(body, BEST_LEVEL, mtime=0) if len(body) >= MIN_BYTES else None


def offer_gzip(response: Response, packed: bytes | None = None) -> None:
    """Compress this answer if the client accepts gzip. `packed` is its body, compressed before.

    `Vary` keeps the compressed and the plain answer apart in caches.
    """
    response.vary.add("Accept-Encoding")
    if response.status_code in UNCOMPRESSED or not _prefers_gzip():
        return
    etag, _ = response.get_etag()
    if etag is not None:
        response.set_etag(etag, weak=True)  # other bytes, the same content (RFC 9110, 8.8.1); a 304 says the same
    if response.status_code != 304:
        response.set_data(packed or gzip.compress(response.get_data(), LEVEL, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
        response.headers.pop("Accept-Ranges", None)


def _prefers_gzip() -> bool:
    accepted = request.accept_encodings
    return accepted.quality("gzip") > 0 and accepted.quality("gzip") >= accepted.quality("identity")
