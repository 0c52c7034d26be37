"""The header of a picture file, read before any decoder sees the file.

Metadata can make a small file expensive: compressed texts, tables that share their values, 100,000 segments. The
decoder gets only the parts that affect pixels. From the rest, only the EXIF orientation is read.
"""

from __future__ import annotations

import struct

from warmer.errors import NotAnImage
from warmer.images.jpeg import lacks_jpeg_end, read_jpeg
from warmer.images.png_webp import lacks_png_end, lacks_webp_end, read_png, read_webp
from warmer.photo import Header

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"  # how such files begin


def read_header(data: bytes) -> Header:
    """Returns the header of a JPEG, PNG or WebP file. Raises NotAnImage for other files and for abusive headers."""
    try:
        if data.startswith(_JPEG):
            return read_jpeg(data)
        if data.startswith(_PNG):
            return read_png(data)
        if _is_webp(data):
            return read_webp(data)
    except (struct.error, IndexError):
        raise NotAnImage("the header is cut off") from None
    raise NotAnImage("not JPEG, PNG or WebP")


def lacks_end(data: bytes) -> bool:
    """Returns True if a JPEG, PNG or WebP file ends before its format says so.

    It need not be broken for that: Pillow decodes a PNG without its last chunk.
    """
    if data.startswith(_JPEG):
        return lacks_jpeg_end(data)
    if data.startswith(_PNG):
        return lacks_png_end(data)
    return _is_webp(data) and lacks_webp_end(data)


def _is_webp(data: bytes) -> bool:
    return data.startswith(b"RIFF") and data[8:12] == b"WEBP"
