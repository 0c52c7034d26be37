"""Hostile pictures: each becomes correct squares or one of our errors, with bounded work."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from itertools import product

import pytest
from PIL import Image, ImageFile

from tests.support import hostile_pictures as hostile
from tests.support.hostile_pictures import (
    chunk,
    gives_squares_or_our_error,
    insert_segments,
    png,
    quarters,
    save,
    segment,
    squares_of,
    variants_of,
)
from tests.support.hostile_webp import alpha_of_groups, riff, webp_of_groups
from warmer.errors import NotAnImage, Postponed, TooBig
from warmer.images import decode, memory, render
from warmer.images.jpeg import MAX_SCANS, MAX_SEGMENTS
from warmer.images.memory import FairSemaphore
from warmer.photo import Header

pytestmark = pytest.mark.filterwarnings("error::UserWarning")  # Pillow warns, and logs a line, for each odd EXIF tag
PLAIN_BYTES = 5000  # more than any of the small pictures has without metadata
JPEG = save(quarters(400, 400), "JPEG")
PNG = save(quarters(400, 400), "PNG")
WEBP = save(quarters(400, 400), "WEBP")
AS_IT_IS = ["red", "green", "blue", "white"]

Make = Callable[[], bytes]


def blank(mode: str, width: int, height: int, fmt: str, **options: object) -> bytes:
    return save(Image.new(mode, (width, height)), fmt, **options)


def animation(fmt: str, frames: int) -> bytes:
    pictures = [Image.new("RGB", (48, 48), (i % 256, i // 256, 9)) for i in range(frames)]
    return save(pictures[0], fmt, save_all=True, append_images=pictures[1:], duration=20)


def exif_of(exif: bytes) -> bytes:
    return segment(0xE1, b"Exif\0\0" + exif)


def in_a_frame(webp: bytes) -> bytes:
    """Returns the lossless picture as the first frame of an animation, where only the size of the canvas counts."""
    with Image.open(BytesIO(webp)) as image:
        size = struct.pack("<I", image.width - 1)[:3] + struct.pack("<I", image.height - 1)[:3]
    frame = riff(b"ANMF", bytes(6) + size + bytes(4) + webp[12:])
    chunks = riff(b"VP8X", b"\x02\0\0\0" + size) + riff(b"ANIM", bytes(6)) + frame
    return riff(b"RIFF", b"WEBP" + chunks)


def with_two_pictures(webp: bytes) -> bytes:
    """Returns a small picture followed by this one in the same file."""
    small = webp_of_groups(64, 1)
    return riff(b"RIFF", b"WEBP" + riff(b"VP8X", bytes(4) + b"\xff\3\0" * 2) + small[12:] + webp[12:])


SHOWN: dict[str, Make] = {
    "a PNG of 16 megapixels": lambda: png(3999, 4000, color=2),
    "interlaced, 16 bits a channel": lambda: png(4000, 4000, depth=16, interlaced=True),
    "one bit a pixel": lambda: png(4000, 4000, depth=1, color=0),
    "16 bits of grey": lambda: png(4000, 4000, depth=16, color=0),
    "grey with alpha, 16 bits": lambda: png(4000, 4000, depth=16, color=4),
    "CMYK of 16 megapixels": lambda: blank("CMYK", 4000, 4000, "JPEG", subsampling=0),
    "CMYK too narrow to be shrunk in decoding": lambda: blank("CMYK", 300, 53333, "JPEG", subsampling=0),
    "progressive with as many scans as we read": lambda: hostile.many_scans(4000, 4000, MAX_SCANS, components=3),
    "a lossless WebP of four megapixels": lambda: blank("RGBA", 2000, 2000, "WEBP", lossless=True),
    "some tables of codes": lambda: webp_of_groups(256, 4096),
    "some tables of codes behind transforms": lambda: webp_of_groups(256, 4096, transforms=True),
    "some tables of codes in an alpha channel": lambda: alpha_of_groups(256, 4096),
    "an animated WebP": lambda: animation("WEBP", 500),
    "one frame of an animated WebP": lambda: in_a_frame(webp_of_groups(256, 4096)),
    "a pixel": lambda: blank("RGB", 1, 1, "PNG"),
    "a line": lambda: blank("RGB", 10_000, 1, "JPEG"),
    "a column": lambda: blank("RGB", 1, 10_000, "PNG"),
}  # fmt: skip
LADEN: dict[str, Make] = {
    "an animated PNG": lambda: animation("PNG", 500),
    "texts that unpack": lambda: png(64, 64, extra=[hostile.text_bomb(i) for i in range(200)]),
    "texts beyond the basic plane": lambda: png(64, 64, extra=[hostile.text_bomb(i, b"iTXt") for i in range(200)]),
    "thousands of chunks": lambda: png(64, 64, extra=[chunk(b"prVt")] * 9000),
    "EXIF that multiplies": lambda: insert_segments(JPEG, [exif_of(hostile.exif_bomb())]),
    "EXIF in a circle": lambda: insert_segments(JPEG, [exif_of(hostile.looping_exif())]),
    "EXIF of many segments": lambda: insert_segments(JPEG, [exif_of(hostile.exif_bomb())] * 150),
    "a table of pictures that multiplies": lambda: insert_segments(
        JPEG, [segment(0xE2, b"MPF\0" + hostile.exif_bomb())]
    ),
    "EXIF of megabytes in a PNG": lambda: png(64, 64, extra=[chunk(b"eXIf", hostile.exif_bomb(1_500_000))]),
    "two pictures in a file": lambda: save(
        quarters(400, 400), "MPO", save_all=True, append_images=[Image.new("RGB", (9, 9))]
    ),
}  # fmt: skip
REFUSED: dict[str, Make] = {
    "more scans than we read": lambda: hostile.many_scans(64, 64, MAX_SCANS + 1),
    "scans up to the cap of a download": lambda: hostile.many_scans(4000, 4000, 300_000),
    "segments up to the cap of a download": lambda: insert_segments(JPEG, [exif_of(b"ab")] * 700_000),
    "chunks up to the cap of a download": lambda: png(64, 64, extra=[chunk(b"prVt")] * 800_000),
    "chunks of a WebP up to the cap": lambda: WEBP[:4] + b"\xff\xff\xff\x7f" + WEBP[8:] + b"prVt\0\0\0\0" * 1_000_000,
    "a profile that unpacks": lambda: png(64, 64, extra=[hostile.profile_bomb(50_000_000)]),
    "two frames": lambda: insert_segments(JPEG, [segment(0xC0, b"\x08\0\x40\0\x40\x01\x01\x11\0")]),
    "two sizes": lambda: (
        PNG[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 1, 0, 0, 0, 0)) + png(4000, 3000, depth=1, color=0)[8:]
    ),
    "no size": lambda: png(0, 0),
    "arithmetic coding": lambda: JPEG.replace(b"\xff\xc0", b"\xff\xc9"),
    "lossless coding": lambda: JPEG.replace(b"\xff\xc0", b"\xff\xc3"),
}
TOO_BIG: dict[str, Make] = {
    "a WebP that would need 256 MB": lambda: blank("RGB", 4000, 4000, "WEBP", lossless=True),
    "coefficients of CMYK": lambda: hostile.many_scans(4000, 4000, 5, components=4),
    "coefficients, and no shrinking in decoding": lambda: hostile.many_scans(300, 53_333, 5, components=3),
    "tables of codes that multiply": lambda: webp_of_groups(1024, 40_000),
    "the same behind transforms": lambda: webp_of_groups(1024, 40_000, transforms=True),
    "the same in an alpha channel": lambda: alpha_of_groups(1024, 40_000),
    "the same behind a second picture": lambda: with_two_pictures(webp_of_groups(1024, 40_000)),
    "a file that may hold so many tables, but too long to count them": lambda: webp_of_groups(1400, 40_000),
    "the same in a frame": lambda: in_a_frame(webp_of_groups(1024, 40_000)),
    "a canvas of 16383 pixels": lambda: b"RIFF\xff\0\0\0WEBPVP8L\xf0\0\0\0\x2f" + b"\xff" * 250,
}  # fmt: skip


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes that each decoder call received."""
    seen: list[int] = []

    def load(header: Header, side: int) -> Image.Image:
        seen.append(sum(map(len, header.parts)))
        return real(header, side)

    real = decode._load
    monkeypatch.setattr(decode, "_load", load)
    return seen


@pytest.mark.parametrize("make", SHOWN.values(), ids=SHOWN)
def test_a_hostile_but_valid_picture_is_rendered(make: Make) -> None:
    assert squares_of(make())


@pytest.mark.parametrize("make", LADEN.values(), ids=LADEN)
def test_the_decoder_receives_no_metadata(make: Make, handed: list[int]) -> None:
    assert squares_of(make())
    assert [size for size in handed if size > PLAIN_BYTES] == []
    assert len(handed) == 1


@pytest.mark.parametrize(
    ("make", "error"),
    [*((make, NotAnImage) for make in REFUSED.values()), *((make, TooBig) for make in TOO_BIG.values())],
    ids=[*REFUSED, *TOO_BIG],
)
def test_an_expensive_picture_is_refused_before_a_pixel_is_decoded(
    make: Make, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make()
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("a pixel was decoded"))
    with pytest.raises(error):
        squares_of(data)


def test_a_scan_after_the_last_is_refused() -> None:
    with pytest.raises(NotAnImage):
        squares_of(JPEG[:-2] + JPEG[JPEG.index(b"\xff\xda") :])


def test_many_segments_of_a_camera_are_read_and_too_many_are_refused() -> None:
    assert hostile.corners_of(insert_segments(JPEG, [segment(0xE5, bytes(60_000))] * 100)) == AS_IT_IS
    with pytest.raises(NotAnImage):
        squares_of(insert_segments(JPEG, [segment(0xE5, b"")] * MAX_SEGMENTS))


# Headers with wrong values


@pytest.mark.parametrize(("width", "height"), [(1, 1), (399, 401), (4000, 4000), (65_500, 200)])
def test_a_jpeg_with_a_wrong_size_gives_squares_or_our_error(width: int, height: int) -> None:
    place = JPEG.index(b"\xff\xc0") + 5
    gives_squares_or_our_error(JPEG[:place] + struct.pack(">HH", height, width) + JPEG[place + 4 :])


@pytest.mark.parametrize(("width", "height"), [(1, 1), (399, 401), (4000, 4000), (16_000_000, 1)])
def test_a_png_with_a_wrong_size_gives_squares_or_our_error(width: int, height: int) -> None:
    header = struct.pack(">II", width, height) + PNG[24:29]
    gives_squares_or_our_error(PNG[:8] + chunk(b"IHDR", header) + PNG[33:])


def test_a_webp_with_wrong_values_gives_squares_or_our_error() -> None:
    whole = save(quarters(100, 100), "WEBP", exif=hostile.looping_exif())
    for place, value in product(range(12, 31), (0, 1, 127, 255)):
        gives_squares_or_our_error(whole[:place] + bytes([value]) + whole[place + 1 :])


def test_scans_hidden_behind_an_end_marker_give_squares_or_our_error() -> None:
    whole = hostile.many_scans(4000, 4000, 3000)
    second = whole.index(b"\xff\xda", whole.index(b"\xff\xda") + 2)
    gives_squares_or_our_error(whole[:second] + segment(0xE5, b"\xff\xd9") + whole[second:])


@pytest.mark.parametrize("whole", [JPEG, PNG, WEBP], ids=["JPEG", "PNG", "WEBP"])
def test_a_truncated_file_is_refused(whole: bytes) -> None:
    for length in range(0, len(whole) - 40, max(1, len(whole) // 80)):
        with pytest.raises(NotAnImage):
            squares_of(whole[:length])


# Two things in one file

ARCHIVE = b"PK\x03\x04" + zlib.compress(bytes(1000)) + b"PK\x05\x06" + bytes(18)
PAGE = b"<!doctype html><script>alert(1)</script>"


@pytest.mark.parametrize("tail", [ARCHIVE, PAGE, JPEG, b"\xff\xda" * 5000, bytes(100_000)])
@pytest.mark.parametrize("whole", [JPEG, PNG, WEBP, save(quarters(400, 400), "JPEG", progressive=True)])
def test_bytes_after_the_picture_are_ignored(whole: bytes, tail: bytes) -> None:
    assert hostile.corners_of(whole + tail) == AS_IT_IS
    assert [variant.spec for variant in variants_of(whole + tail) if tail[-20:] in variant.body] == []


@pytest.mark.parametrize("head", [b"GIF89a/*", b"%PDF-1.7\n", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"BM", PAGE, b"\0", b"\n"])
def test_bytes_before_the_picture_are_refused(head: bytes) -> None:
    for whole in (JPEG, PNG, WEBP):
        with pytest.raises(NotAnImage):
            squares_of(head + whole)


@pytest.mark.parametrize("semaphore", [decode._large_decode, render._encodes])
def test_a_decode_that_gets_no_memory_in_time_is_postponed(
    monkeypatch: pytest.MonkeyPatch, semaphore: FairSemaphore
) -> None:
    monkeypatch.setattr(memory, "TIMEOUT_SECONDS", 0)
    large = png(1500, 1500)
    with semaphore.acquire(semaphore.size, 0), pytest.raises(Postponed):
        squares_of(large)
    assert squares_of(large)
