"""The header of a JPEG: its segments up to the first scan, and how many scans there are (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from warmer.errors import NotAnImage
from warmer.images.orientation import UPRIGHT, read_orientation
from warmer.photo import MAX_PROFILE_BYTES, Header

MAX_SEGMENTS = 1000  # each takes time, here and in the decoder
MAX_SCANS = 64  # 25 bytes can make the decoder visit every pixel once more; encoders write about ten scans

# The frames that browsers support. Arithmetic coding is left out: a scan of a few bytes can take it seconds.
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), (0xC2,)
_TABLES, _SCAN, _STANDALONE, _END = (0xC4, 0xDB, 0xDD), 0xDA, range(0xD0, 0xD9), 0xD9
_EXIF, _PROFILE = 0xE1, 0xE2
_NAMES = {0xE0: b"JFIF\0", _EXIF: b"Exif\0\0", _PROFILE: b"ICC_PROFILE\0", 0xEE: b"Adobe"}  # how the content begins
_MARKER = re.compile(rb"\xff([^\x00\xff])")
_BLOCK_BYTES = 128  # the coefficients of 8 × 8 pixels


@dataclass(frozen=True, slots=True)
class Segment:
    """A marker and the place of its content."""

    marker: int
    start: int
    end: int


def read_jpeg(data: bytes) -> Header:
    """Returns the header of a JPEG. Raises NotAnImage for too many segments or scans."""
    view = memoryview(data)
    parts, orientation, profile_bytes = [view[:2]], 0, 0
    segments = list(_list_segments(data))
    for segment in segments:
        if segment.marker == _EXIF:
            orientation = orientation or read_orientation(view[segment.start : segment.end])
            continue
        if segment.marker == _PROFILE:
            profile_bytes += segment.end - segment.start
            if profile_bytes > MAX_PROFILE_BYTES:
                continue  # the decoder ignores an incomplete profile
        parts.append(view[segment.start - 4 : segment.end])
    frame, scan = _find_frame(segments), segments[-1]
    if scan.marker != _SCAN:
        raise NotAnImage("no scan")
    width, height, blocks = _read_frame(data[frame.start : frame.end])
    kept_bytes, end = 0, len(data)
    if frame.marker in _PROGRESSIVE or data[scan.start] != data[frame.start + 5]:  # are all components in one scan?
        end = _find_end(data, scan.end)
        kept_bytes = blocks * _BLOCK_BYTES  # the decoder keeps all coefficients until the last scan
    parts.append(view[scan.end : end])
    return Header("JPEG", width, height, parts, orientation or UPRIGHT, len(data) + kept_bytes)


def lacks_jpeg_end(data: bytes) -> bool:
    """Returns True if no end follows the first scan. An end inside a segment is that of a thumbnail."""
    place = 2
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(data, place)
        if found is None:
            return True
        marker, place = found[1][0], found.end()
        if marker == _SCAN:
            return data.find(b"\xff\xd9", place) < 0
        if marker == _END:
            return False
        if marker not in _STANDALONE:
            place += max(2, int.from_bytes(data[place : place + 2]))
    return False


def _find_end(data: bytes, start: int) -> int:
    """The end of the last scan, so that the decoder cannot find more scans than are counted here."""
    end = data.find(b"\xff\xd9", start)
    end = len(data) if end < 0 else end + 2
    if data.count(b"\xff\xda", start, end) >= MAX_SCANS:
        raise NotAnImage(f"more than {MAX_SCANS} scans")
    return end


def _list_segments(data: bytes) -> Iterator[Segment]:
    """The segments that affect pixels, and EXIF, up to the first scan."""
    place = 2
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(data, place)
        if found is None:
            raise NotAnImage("no scan")
        marker, start = found[1][0], found.end() + 2
        if marker in _STANDALONE:
            place = found.end()
            continue
        (length,) = struct.unpack_from(">H", data, found.end())
        place = found.end() + length
        if length < 2 or place > len(data):
            raise NotAnImage("the segments are cut off")
        is_frame = marker in _SEQUENTIAL or marker in _PROGRESSIVE
        if is_frame or marker in _TABLES or marker == _SCAN or data.startswith(_NAMES.get(marker, b"\xff\xff"), start):
            yield Segment(marker, start, place)
        if marker == _SCAN:
            return
    raise NotAnImage(f"more than {MAX_SEGMENTS} segments")


def _find_frame(segments: list[Segment]) -> Segment:
    frames = [segment for segment in segments if segment.marker in _SEQUENTIAL or segment.marker in _PROGRESSIVE]
    if len(frames) != 1:
        raise NotAnImage(f"{len(frames)} frames in a JPEG")
    return frames[0]


def _read_frame(frame: bytes) -> tuple[int, int, int]:
    """The width, the height, and the number of blocks in all components."""
    height, width, number = struct.unpack_from(">HHB", frame, 1)
    factors = [(frame[7 + 3 * i] >> 4, frame[7 + 3 * i] & 15) for i in range(number)]
    if number not in (1, 3, 4) or not width or not height or not all(1 <= h <= 4 and 1 <= v <= 4 for h, v in factors):
        raise NotAnImage("an invalid frame")
    across, down = (-(-width // (8 * max(h for h, _ in factors))), -(-height // (8 * max(v for _, v in factors))))
    return width, height, sum(across * h * down * v for h, v in factors)
