"""The formats that pictures are served in: a new one is a row here, in web/api/openapi.json and in
web/static/lazy-image.js (`Accept`).

`PHOTO_FORMATS` chooses among them. The formats that a worker can read: warmer/images/headers.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Format(NamedTuple):
    """A format, which Pillow knows under the same name."""

    mime_type: str
    options: dict[str, Any]  # of Pillow's encoder
    encoding_bytes: int  # memory per pixel while encoding, measured
    is_readable: bool = True  # by warmer/images/headers.py, so that other variants can be made from a stored one


# method 2: half the time of 4 for 3 to 5 % more bytes; AVIF at speed 9: two to three times the time of that WebP.
# Measured: docs/performance.md.
FORMATS = {
    "webp": Format("image/webp", {"quality": 80, "method": 2}, 10),
    "jpeg": Format("image/jpeg", {"quality": 82, "optimize": True}, 5),
    "avif": Format("image/avif", {"quality": 65, "speed": 9, "max_threads": 1}, 42, is_readable=False),
}
