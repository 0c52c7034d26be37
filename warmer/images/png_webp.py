"""The headers of the two formats that consist of chunks: PNG (its specification, 5.3) and WebP (RFC 9649)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from warmer.errors import NotAnImage
from warmer.images.orientation import UPRIGHT, read_orientation
from warmer.images.vp8l import count_groups
from warmer.photo import MAX_PROFILE_BYTES, Header

MAX_CHUNKS = 10_000  # each takes time, here and in the decoder

_PNG_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_GRAY, _RGB, _PALETTE, _GRAY_ALPHA = 0, 2, 3, 4  # colour types of IHDR
_DEEP_KEY_BYTES_PER_PIXEL = 5  # with a mask beside the picture: see decode

# Measured: two canvases of libwebp and Pillow's picture, and for a while Pillow's bytes of it or libwebp's own rows.
WEBP_BYTES_PER_PIXEL, _WEBP_KEPT_BYTES_PER_PIXEL = 16, 12
_WEBP_COPIES = 3  # of the file: here, in Pillow and in libwebp
_WEBP_PIXEL_CHUNKS = (b"VP8 ", b"VP8L", b"ALPH")
_FRAME_BYTES = 16  # of an animation's frame, before its own chunks
_STORED = 0  # ALPH's compression method: none
# What libwebp takes for a prefix code group: five tables of 256 codes. Codes of more than 8 bits have further tables,
# so large for each byte of the file, up to those of the largest alphabets.
_GROUP_BYTES, _LONG_CODE_BYTES, _LONG_CODES_BYTES_PER_GROUP = 5600, 60, 15_000
_GROUP_PIXELS, _GROUP_FILE_BYTES, _MAX_GROUPS = 16, 4, 65_536  # a group takes at least so much

Chunk = tuple[bytes, int, int]  # its name, the start and the end of its content


def read_png(data: bytes) -> Header:
    """The header of a PNG; of an animated one, of its default image."""
    view = memoryview(data)
    parts, orientation, color_key = [view[:8]], 0, tuple[int, ...]()
    width, height, depth, kind = struct.unpack_from(">IIBB", data, 16)
    for name, start, end in _list_png_chunks(data):
        if name == b"eXIf":
            orientation = orientation or read_orientation(view[start:end])
        elif name == b"tRNS" and kind != _PALETTE:  # kept from Pillow, which takes samples of every depth for 8 bits
            color_key = color_key or _read_color_key(data[start:end], depth, kind)
        elif name in _PNG_PIXEL_CHUNKS or (name == b"iCCP" and end - start <= MAX_PROFILE_BYTES):
            parts.append(view[start - 8 : end + 4])
    return Header(
        "PNG", width, height, parts, orientation or UPRIGHT, len(data),
        _DEEP_KEY_BYTES_PER_PIXEL if color_key and kind == _RGB and depth == 16 else 4,
        bit_depth=depth, is_gray=kind in (_GRAY, _GRAY_ALPHA), color_key=color_key,
    )  # fmt: skip


def _read_color_key(content: bytes, depth: int, kind: int) -> tuple[int, ...]:
    """Returns the transparent colour, of whose 16 bits only the low ones count, or () if there is none."""
    samples = {_GRAY: 1, _RGB: 3}.get(kind, 0)
    if not samples or len(content) < 2 * samples:
        return ()
    return tuple(value & (1 << depth) - 1 for value in struct.unpack_from(f">{samples}H", content))


def read_webp(data: bytes) -> Header:
    """The header of a WebP; of an animated one, of its canvas."""
    (length,) = struct.unpack_from("<I", data, 4)
    view = memoryview(data)[: 8 + length]
    orientation, chunks = 0, list(_list_riff_chunks(view, 12))
    frames = [(start, end) for name, start, end in chunks if name == b"ANMF"]
    for start, end in frames[:1]:  # of an animation, the first is decoded
        chunks += _list_riff_chunks(view[:end], start + _FRAME_BYTES)
    for name, start, end in chunks:
        if name == b"EXIF":
            orientation = orientation or read_orientation(view[start:end])
    width, height = _read_canvas(data)
    buffer_bytes = _WEBP_COPIES * len(data) + _estimate_tables(view, width * height, chunks)
    return Header(
        "WEBP", width, height, [view], orientation or UPRIGHT, buffer_bytes,
        WEBP_BYTES_PER_PIXEL, _WEBP_KEPT_BYTES_PER_PIXEL,
    )  # fmt: skip


def lacks_png_end(data: bytes) -> bool:
    """Returns True if the last chunk, IEND, is not there as a whole. Raises NotAnImage for too many chunks."""
    chunks = list(_list_png_chunks(data))
    return not chunks or chunks[-1][0] != b"IEND" or chunks[-1][2] + 4 > len(data)


def lacks_webp_end(data: bytes) -> bool:
    """Returns True if the file is shorter than its header says (RFC 9649, 2.4)."""
    return len(data) < 8 + int.from_bytes(data[4:8], "little")


def _estimate_tables(view: memoryview, pixels: int, chunks: list[Chunk]) -> int:
    """The most memory that the prefix codes of the lossless picture, or of the lossless alpha channel, can take."""
    pixel_chunks = [(name, view[start:end]) for name, start, end in chunks if name in _WEBP_PIXEL_CHUNKS]
    by_name = dict(pixel_chunks)
    is_ambiguous = len(by_name) < len(pixel_chunks)  # libwebp decodes one of two chunks with the same name
    needed_bytes = [0]
    for name, content in pixel_chunks:
        if name == b"VP8 ":
            continue
        groups = None if is_ambiguous else _count_groups(name, content, by_name.get(b"VP8 "))
        if groups is None:
            groups = min(pixels // _GROUP_PIXELS, len(content) // _GROUP_FILE_BYTES, _MAX_GROUPS)
        long_codes = min(_LONG_CODE_BYTES * len(content), _LONG_CODES_BYTES_PER_GROUP * groups)
        needed_bytes.append(_GROUP_BYTES * groups + long_codes)
    return max(needed_bytes)


def _count_groups(name: bytes, content: memoryview, lossy: memoryview | None) -> int | None:
    """Returns the number of prefix code groups in this chunk, None if they cannot be counted."""
    if name == b"VP8L":
        return count_groups(content[5:], *_read_lossless_size(content))
    if content[0] & 3 == _STORED:
        return 0
    return count_groups(content[1:], *_read_lossy_size(lossy)) if lossy is not None else None


def _read_canvas(data: bytes) -> tuple[int, int]:
    kind, content = data[12:16], memoryview(data)[20:]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    return _read_lossless_size(content) if kind == b"VP8L" else _read_lossy_size(content)


def _read_lossless_size(content: memoryview) -> tuple[int, int]:
    (bits,) = struct.unpack_from("<I", content, 1)
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def _read_lossy_size(content: memoryview) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", content, 6)
    return width & 0x3FFF, height & 0x3FFF


def _list_png_chunks(data: bytes) -> Iterator[Chunk]:
    place = 8
    for _ in range(MAX_CHUNKS):
        if place + 8 > len(data):
            return
        length, name = struct.unpack_from(">I4s", data, place)
        yield name, place + 8, place + 8 + length
        if name == b"IEND":
            return
        place += 8 + length + 4  # a checksum
    raise NotAnImage(f"more than {MAX_CHUNKS} chunks")


def _list_riff_chunks(data: memoryview, place: int) -> Iterator[Chunk]:
    for _ in range(MAX_CHUNKS):
        if place + 8 > len(data):
            return
        name, length = struct.unpack_from("<4sI", data, place)
        yield name, place + 8, place + 8 + length
        place += 8 + length + length % 2  # to an even place
    raise NotAnImage(f"more than {MAX_CHUNKS} chunks")
