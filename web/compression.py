"""Compresses text for clients that accept gzip: lists and other JSON, pages, scripts, styles.

Pictures never get here: their routes are in front of Flask. Problem documents stay as they are. Why compression reveals
no secret (BREACH): docs/http.md, "Compression".
"""

from __future__ import annotations

import gzip

from flask import Flask, Response, request

TYPES = ("application/json", "text/html", "text/css", "text/javascript")
STATUSES = (200, 201, 202, 304)  # not 206: a range is one of the uncompressed bytes
MIN_BYTES = 1000  # less fits into one packet anyway
LEVEL = 1  # a list is mostly signatures and previews: level 6 takes twice as long for 4 % fewer bytes, measured


def init_app(app: Flask) -> None:
    """Compress the answers of this app's routes."""

    @app.after_request
    def compress(response: Response) -> Response:
        if response.mimetype not in TYPES or response.status_code not in STATUSES:
            return response
        body = response.get_data()
        if len(body) < MIN_BYTES:
            return response
        response.vary.add("Accept-Encoding")
        if not _prefers_gzip():
            return response
        etag, _ = response.get_etag()
        if etag is not None:
            response.set_etag(etag, weak=True)  # other bytes, the same content (RFC 9110, 8.8.1); a 304 says the same
        if response.status_code != 304:
            response.set_data(gzip.compress(body, LEVEL, mtime=0))
            response.headers["Content-Encoding"] = "gzip"
            response.headers.pop("Accept-Ranges", None)
        return response


def _prefers_gzip() -> bool:
    accepted = request.accept_encodings
    return accepted.quality("gzip") > 0 and accepted.quality("gzip") >= accepted.quality("identity")
