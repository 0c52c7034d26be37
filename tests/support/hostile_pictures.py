"""Pictures made to harm their decoder; none is a file on disk."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from io import BytesIO
from typing import Any

from PIL import Image, ImageDraw

from warmer.errors import NotAnImage, TooBig
from warmer.images.render import render
from warmer.photo import SourceImage, Variant, VariantSpec

BATCHES = ([VariantSpec(160, "webp")], [VariantSpec(320, "webp"), VariantSpec(80, "webp"), VariantSpec(320, "jpeg")])
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def save(image: Image.Image, fmt: str = "PNG", **options: Any) -> bytes:
    """Returns the picture as a file."""
    out = BytesIO()
    image.save(out, fmt, **options)
    return out.getvalue()


def variants_of(data: bytes) -> list[Variant]:
    """Render these bytes like a worker. Returns the variants, or raises the errors of `render`."""
    return [variant for rendering in render(SourceImage(data), BATCHES) for variant in rendering.variants]


def squares_of(data: bytes) -> list[Image.Image]:
    """The same as pictures."""
    squares: list[Image.Image] = []
    for variant in variants_of(data):
        square = Image.open(BytesIO(variant.body))
        assert (square.format, square.size, square.mode) == (
            variant.format.upper(), (variant.size, variant.size), "RGB"
        )  # fmt: skip
        assert not {"exif", "icc_profile", "xmp", "comment", "photoshop"} & set(square.info)
        squares.append(square)
    assert len(squares) == 4
    return squares


def gives_squares_or_our_error(data: bytes) -> None:
    with suppress(NotAnImage, TooBig):
        squares_of(data)


def corners_of(data: bytes) -> list[str]:
    """Returns the colour names near the corners of the largest square: top left, top right, bottom left and right."""
    square = squares_of(data)[1]
    colors = [square.getpixel(place) for place in ((60, 60), (260, 60), (60, 260), (260, 260))]
    return [_name(color) for color in colors]


def _name(color: Any) -> str:
    names = {"red": RED, "green": GREEN, "blue": BLUE, "white": WHITE}
    return min(names, key=lambda name: sum(abs(a - b) for a, b in zip(names[name], color, strict=True)))


def quarters(width: int = 64, height: int = 64) -> Image.Image:
    """Returns an image with red and green above, blue and white below."""
    image = Image.new("RGB", (width, height), WHITE)
    draw, x, y = ImageDraw.Draw(image), width // 2, height // 2
    draw.rectangle((0, 0, x - 1, y - 1), RED)
    draw.rectangle((x, 0, width, y - 1), GREEN)
    draw.rectangle((0, y, x - 1, height), BLUE)
    return image


def chunk(name: bytes, data: bytes = b"") -> bytes:
    """Returns one PNG chunk."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_checksums(png: bytes) -> bytes:
    """Returns the PNG with correct checksums, as far as its chunks can be found."""
    mended, place = bytearray(png), 8
    while place + 12 <= len(mended):
        end = place + 8 + int.from_bytes(mended[place : place + 4])
        mended[end : end + 4] = struct.pack(">I", zlib.crc32(mended[place + 4 : end]))
        place = end + 4
    return bytes(mended)


def png(
    width: int, height: int, *, depth: int = 8, color: int = 6, interlaced: bool = False, extra: Iterable[bytes] = ()
) -> bytes:
    """Returns a PNG of zeros without making the picture; `extra` chunks stand before the pixels."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    squeeze = zlib.compressobj(1)
    row = bytes(1 + (width * channels * depth + 7) // 8)
    body = b"".join(squeeze.compress(row) for _ in range(height * (2 if interlaced else 1))) + squeeze.flush()
    return b"".join([PNG_SIGNATURE, chunk(b"IHDR", header), *extra, chunk(b"IDAT", body), chunk(b"IEND")])


def text_bomb(number: int, kind: bytes = b"zTXt") -> bytes:
    """Returns a text chunk that unpacks to a mebibyte of characters beyond the basic plane: 4 MiB as a string."""
    text = _pack_text()
    head = b"k%d\0\0" % number if kind == b"zTXt" else b"k%d\0\1\0\0\0" % number
    return chunk(kind, head + text)


@cache
def _pack_text() -> bytes:
    return zlib.compress("😀".encode() + b"x" * (2**20 - 5), 9)


def profile_bomb(unpacked_bytes: int) -> bytes:
    """Returns an iCCP chunk that unpacks to this many bytes."""
    return chunk(b"iCCP", b"bomb\0\0" + zlib.compress(bytes(unpacked_bytes), 9))


def segment(marker: int, data: bytes) -> bytes:
    """Returns one JPEG segment."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def insert_segments(jpeg: bytes, segments: Iterable[bytes]) -> bytes:
    """Returns the JPEG with segments right after its start."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def many_scans(width: int, height: int, scans: int, *, components: int = 1, sampling: int = 0x11) -> bytes:
    """Returns a progressive JPEG whose every scan visits all blocks with a few bytes.

    A run of end-of-block codes ("EOB14" and 14 bits) covers 32767 blocks, so an empty refinement costs 25 bytes.
    """
    quantization = segment(0xDB, b"\0" + bytes([1]) * 64)
    layout = b"".join(bytes([i + 1, sampling if i == 0 else 0x11, 0]) for i in range(components))
    frame = segment(0xC2, struct.pack(">BHHB", 8, height, width, components) + layout)
    tables = segment(0xC4, b"\x00" + bytes([1] + [0] * 15) + b"\x00") + segment(
        0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\xe0"
    )
    blocks = -(-width // 8) * -(-height // 8)
    runs = f"{'0' + '1' * 14}" * (-(-blocks // 32767))
    bits = runs + "1" * (-len(runs) % 8)
    walk = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)).replace(b"\xff", b"\xff\0")
    ids = b"".join(bytes([i + 1, 0]) for i in range(components))
    first = segment(0xDA, bytes([components]) + ids + b"\0\0\0") + bytes(blocks * components // 8 * 2 + 16)
    later = [segment(0xDA, bytes([1, i % components + 1, 0, 1, 63, 0x10])) + walk for i in range(components)]
    body = b"".join(later[i % components] for i in range(scans - 1))
    return b"\xff\xd8" + quantization + frame + tables + first + body + b"\xff\xd9"


def exif_bomb(blob_bytes: int = 65_000) -> bytes:
    """Returns EXIF whose many entries all have the same half of it as their value."""
    entries = blob_bytes // 2 // 12
    values = 8 + 2 + entries * 12 + 4
    table = b"".join(struct.pack(">HHLL", 1000 + i, 7, blob_bytes - values, values) for i in range(entries))
    return (b"MM\0*" + struct.pack(">LH", 8, entries) + table).ljust(blob_bytes, b"\0")


def looping_exif() -> bytes:
    """Returns EXIF whose directories refer to each other as the next and to themselves as sub-directories."""
    entry = struct.pack(">HHLL", 0x8769, 4, 1, 8) + struct.pack(">HHLL", 0xA005, 4, 1, 8)
    return b"MM\0*" + struct.pack(">LH", 8, 2) + entry + struct.pack(">L", 8)


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Returns an incompressible image, made of one repeated tile to save time."""
    tile = Image.merge(mode, [Image.effect_noise((256, 256), 200) for _ in mode])
    image = Image.new(mode, (width, height))
    for top in range(0, height, 256):
        for left in range(0, width, 256):
            image.paste(tile, (left, top))
    return image
