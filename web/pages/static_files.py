"""Serves the scripts, styles and the logo of the pages from memory, as they were when the process started.

The pages name them in a folder that is the digest of all of them, so that browsers may keep them for a year: changed
files have another address. Browsers keep a plain name for five minutes.

While two releases run side by side, a page of one release may request its files from a process of the other. That
process sends its own files with `no-store`. In a cache, they would break the page until they expire: a script cannot
import what another release has renamed. docs/operations.md says what a visitor sees.
"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from flask import Flask, Response, request
from werkzeug.exceptions import NotFound

from web.compression import compress_once, offer_gzip

# Not the machine's table, which may say anything.
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
DIGEST = re.compile(r"[0-9a-f]{12}")
CACHE_FOR_A_YEAR, CACHE_FOR_MINUTES = "public, max-age=31536000, immutable", "public, max-age=300"
NO_STORE = "no-store"
LOGO = "logo.svg"
ONE_RANGE = re.compile(r"bytes=(\d+-\d*|-\d+)", re.IGNORECASE)


def init_app(app: Flask) -> None:
    """Take the place of Flask's own view.

    `static` in a template is the folder, relative to the page, and `logo` a data URI, which costs no request.
    """
    files = _read_files(Path(str(app.static_folder)))
    packed = {name: compress_once(body) for name, body in files.items()}
    digest = sha256(repr(files).encode()).hexdigest()[:12]

    def send(filename: str) -> Response:
        folder, _, name = filename.rpartition("/")
        if name not in files or (folder and not DIGEST.fullmatch(folder)):
            raise NotFound
        response = Response(files[name], mimetype=TYPES[Path(name).suffix])
        response.set_etag(digest)
        response.headers["Cache-Control"] = (
            CACHE_FOR_A_YEAR if folder == digest else NO_STORE if folder else CACHE_FOR_MINUTES
        )
        response.make_conditional(request, accept_ranges=_takes_ranges(), complete_length=len(files[name]))
        if packed[name]:
            offer_gzip(response, packed[name])
        return response

    app.view_functions["static"] = send
    logo = quote(files.get(LOGO, b"").decode().strip(), safe="=:/")
    app.jinja_env.globals |= {"static": f"static/{digest}", "logo": f"data:image/svg+xml,{logo}"}


def _read_files(folder: Path) -> dict[str, bytes]:
    """The files of these types, in order of their names.

    Nothing else in the folder is served, such as an editor's copy: it would also give one machine a digest of its own.
    """
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.suffix in TYPES and not path.name.startswith(".") and path.is_file()
    }


def _takes_ranges() -> bool:
    """Returns False to ignore `Range`, as RFC 9110 (14.2) permits.

    werkzeug would answer several ranges and unknown units with 416. In `If-Range` it would accept a weak ETag, which
    belongs to a compressed answer, and a part of the plain file cannot continue that (13.1.5).
    """
    is_weak = request.headers.get("If-Range", "").startswith("W/")
    return not is_weak and bool(ONE_RANGE.fullmatch(request.headers.get("Range", "bytes=0-")))
