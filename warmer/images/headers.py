"""The header of a picture file, read before any decoder sees the file.

Metadata can make a small file expensive: compressed texts, tables that share their values, 100,000 segments. The
decoder gets only the parts that affect pixels. From the rest, only the EXIF orientation is read.
"""

from __future__ import annotations

import struct

from warmer.errors import NotAnImage
from warmer.images.jpeg import read_jpeg
from warmer.images.png_webp import read_png, read_webp
from warmer.photo import Header


def read_header(data: bytes) -> Header:
    """The header of a JPEG, PNG or WebP file; raises NotAnImage for other files and for abusive headers."""
    try:
        if data.startswith(b"\xff\xd8\xff"):
            return read_jpeg(data)
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return read_png(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return read_webp(data)
    except (struct.error, IndexError):
        raise NotAnImage("the header is cut off") from None
    raise NotAnImage("not JPEG, PNG or WebP")
