"""The headers of the two formats that are made of chunks: PNG (its specification, 5.3) and WebP (RFC 9649)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from warmer.errors import NotAnImage
from warmer.images.orientation import UPRIGHT, read_orientation
from warmer.photo import Header

MAX_CHUNKS = 10_000  # each costs time, here and in the decoder
MAX_PROFILE_BYTES = 2**20  # as it is packed

_PNG_PAINTS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_WEBP_BYTES_PER_PIXEL = 16  # two canvases, then the decoder's rows, or Pillow's bytes and Pillow's picture
_WEBP_COPIES = 4  # of the file: here, in Pillow and in libwebp
_LOSSLESS = (b"VP8L", b"ALPH")  # a picture; the alpha beside a lossy one
_FRAME_BYTES = 16  # of an animation's frame, before its own chunks
_GROUP_BYTES, _GROUP_FILE_BYTES = 5600, 4  # five tables of 256 codes, in memory and, at least, in the file
_LONG_CODE_BYTES = 60  # in memory for a byte of the file: codes of more than 8 bits have tables behind these

Chunk = tuple[bytes, int, int]  # its name, the start and the end of its content


def read_png(data: bytes) -> Header:
    """The header of a PNG; of an animated one, of its default image."""
    view = memoryview(data)
    parts, orientation = [view[:8]], 0
    width, height = struct.unpack_from(">II", data, 16)
    for name, start, end in _list_png_chunks(data):
        if name == b"eXIf":
            orientation = orientation or read_orientation(view[start:end])
        elif name in _PNG_PAINTS or (name == b"iCCP" and end - start <= MAX_PROFILE_BYTES):
            parts.append(view[start - 8 : end + 4])
    return Header("PNG", width, height, parts, orientation or UPRIGHT, len(data))


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
    lossless_bytes = max((min(end, len(view)) - start for name, start, end in chunks if name in _LOSSLESS), default=0)
    width, height = _read_canvas(data)
    buffer_bytes = _WEBP_COPIES * len(data) + _estimate_tables(width * height, lossless_bytes)
    return Header("WEBP", width, height, [view], orientation or UPRIGHT, buffer_bytes, _WEBP_BYTES_PER_PIXEL)


def _estimate_tables(pixels: int, lossless_bytes: int) -> int:
    """The most memory that the codes of a lossless picture can take.

    Each 4 by 4 pixels may have five tables of their own, which take four bytes of the file. Encoders make some hundred,
    but how many there are stands behind what is compressed already.
    """
    groups = min(pixels // 16, lossless_bytes // _GROUP_FILE_BYTES, 65_536)
    return groups * _GROUP_BYTES + _LONG_CODE_BYTES * lossless_bytes


def _read_canvas(data: bytes) -> tuple[int, int]:
    kind, (bits,) = data[12:16], struct.unpack_from("<I", data, 21)
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
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
