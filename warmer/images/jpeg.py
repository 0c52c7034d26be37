"""The header of a JPEG: its segments up to the first scan, and how many scans there are (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from warmer.errors import NotAnImage
from warmer.images.orientation import UPRIGHT, read_orientation
from warmer.photo import Header

MAX_SEGMENTS = 1000  # each costs time, here and in the decoder
MAX_SCANS = 64  # each walks through all pixels, on 25 bytes if need be; encoders write about ten
MAX_PROFILE_BYTES = 2**20

# Frames that browsers show too. Arithmetic coding is none of them: a scan of a few bytes may keep it busy for long.
_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), (0xC2,)
_TABLES, _SCAN, _STANDALONE = (0xC4, 0xDB, 0xDD), 0xDA, range(0xD0, 0xD9)
_EXIF, _PROFILE = 0xE1, 0xE2
_NAMES = {0xE0: b"JFIF\0", _EXIF: b"Exif\0\0", _PROFILE: b"ICC_PROFILE\0", 0xEE: b"Adobe"}  # how their content begins
_MARKER = re.compile(rb"\xff([^\x00\xff])")
_BLOCK_BYTES = 128  # the coefficients of 8 × 8 pixels


@dataclass(frozen=True, slots=True)
class Segment:
    """A marker and where its content is."""

    marker: int
    start: int
    end: int


def read_jpeg(data: bytes) -> Header:
    """The header of a JPEG; raises NotAnImage where it has too many segments or scans."""
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
                continue  # and with a part of it missing, the decoder leaves it out
        parts.append(view[segment.start - 4 : segment.end])
    frame, scan = _find_frame(segments), segments[-1]
    if scan.marker != _SCAN:
        raise NotAnImage("it has no scan")
    width, height, blocks = _read_frame(data[frame.start : frame.end])
    kept_bytes, end = 0, len(data)
    if frame.marker in _PROGRESSIVE or data[scan.start] != data[frame.start + 5]:  # all components in the one scan?
        end = _find_end(data, scan.end)
        kept_bytes = blocks * _BLOCK_BYTES  # of all of the picture, until the last scan
    parts.append(view[scan.end : end])
    return Header("JPEG", width, height, parts, orientation or UPRIGHT, len(data) + kept_bytes)


def _find_end(data: bytes, start: int) -> int:
    """Where the last scan ends: the decoder must not find more of them than are counted here."""
    end = data.find(b"\xff\xd9", start)
    end = len(data) if end < 0 else end + 2
    if data.count(b"\xff\xda", start, end) >= MAX_SCANS:
        raise NotAnImage(f"more than {MAX_SCANS} scans")
    return end


def _list_segments(data: bytes) -> Iterator[Segment]:
    """The segments that paint, and EXIF's, up to the first scan's."""
    place = 2
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(data, place)
        if found is None:
            raise NotAnImage("it has no scan")
        marker, start = found[1][0], found.end() + 2
        if marker in _STANDALONE:
            place = found.end()
            continue
        (length,) = struct.unpack_from(">H", data, found.end())
        place = found.end() + length
        if length < 2 or place > len(data):
            raise NotAnImage("its segments are cut off")
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
    """The width, the height, and the blocks of all components."""
    height, width, number = struct.unpack_from(">HHB", frame, 1)
    factors = [(frame[7 + 3 * i] >> 4, frame[7 + 3 * i] & 15) for i in range(number)]
    if number not in (1, 3, 4) or not width or not height or not all(1 <= h <= 4 and 1 <= v <= 4 for h, v in factors):
        raise NotAnImage("a frame that no decoder knows")
    across, down = (-(-width // (8 * max(h for h, _ in factors))), -(-height // (8 * max(v for _, v in factors))))
    return width, height, sum(across * h * down * v for h, v in factors)
