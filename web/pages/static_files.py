"""Serves the scripts and styles of the pages from memory, as they were when the process started.

The pages name them in a folder that is the digest of all of them, so that browsers may keep them for a year: changed
files have another address. The same files are also served under their plain names, and in the folder of another
release, whose page may be open while two releases run side by side; browsers keep those for five minutes.
"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

from flask import Flask, Response, request
from werkzeug.exceptions import NotFound

TYPES = {".js": "text/javascript", ".css": "text/css"}  # not the machine's table, which may say anything
DIGEST = re.compile(r"[0-9a-f]{12}")
FOR_A_YEAR, FOR_MINUTES = "public, max-age=31536000, immutable", "public, max-age=300"
ONE_RANGE = re.compile(r"bytes=(\d+-\d*|-\d+)", re.IGNORECASE)


def init_app(app: Flask) -> None:
    """Take the place of Flask's own view. `static` in a template is the folder, relative to the page."""
    files = {path.name: path.read_bytes() for path in sorted(Path(str(app.static_folder)).iterdir())}
    digest = sha256(repr(files).encode()).hexdigest()[:12]

    def send(filename: str) -> Response:
        folder, _, name = filename.rpartition("/")
        if name not in files or (folder and not DIGEST.fullmatch(folder)):
            raise NotFound
        response = Response(files[name], mimetype=TYPES.get(Path(name).suffix, "text/plain"))
        response.set_etag(digest)
        response.headers["Cache-Control"] = FOR_A_YEAR if folder == digest else FOR_MINUTES
        response.make_conditional(request, accept_ranges=_takes_ranges(), complete_length=len(files[name]))
        return response

    app.view_functions["static"] = send
    app.jinja_env.globals["static"] = f"static/{digest}"


def _takes_ranges() -> bool:
    """Returns False to ignore `Range`, as RFC 9110 (14.2) permits.

    werkzeug would answer several ranges and unknown units with 416. In `If-Range` it would accept a weak ETag, which
    belongs to a compressed answer, and a part of the plain file cannot continue that (13.1.5).
    """
    is_weak = request.headers.get("If-Range", "").startswith("W/")
    return not is_weak and bool(ONE_RANGE.fullmatch(request.headers.get("Range", "bytes=0-")))
