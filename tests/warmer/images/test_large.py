"""Large pictures, which are first shrunk in bands, look like small ones."""

from __future__ import annotations

import struct
from io import BytesIO

import pytest
from PIL import Image

from tests.support.hostile_pictures import (
    chunk,
    corners_of,
    exif_bomb,
    insert_segments,
    looping_exif,
    quarters,
    save,
    segment,
)
from tests.support.rendering import swap_profile
from warmer.images.headers import read_header
from warmer.images.orientation import read_orientation
from warmer.photo import MAX_PROFILE_BYTES

AS_IT_IS = ["red", "green", "blue", "white"]
TURNED = {
    1: AS_IT_IS,
    2: ["green", "red", "white", "blue"],
    3: ["white", "blue", "green", "red"],
    4: ["blue", "white", "red", "green"],
    5: ["red", "blue", "green", "white"],
    6: ["blue", "red", "white", "green"],
    7: ["white", "green", "blue", "red"],
    8: ["green", "white", "red", "blue"],
}
LARGE = (1500, 1430)  # not for JPEG, which is shrunk while it is decoded


def exif_with(orientation: int, order: str = "<", kind: int = 3, count: int = 1) -> bytes:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}IHHHIHHI", 8, 1, 0x0112, kind, count, orientation, 0, 0)


def with_holes(mode: str) -> Image.Image:
    """Returns the quarters with a black, transparent fourth quarter."""
    image = quarters(*LARGE).convert("RGBA")
    image.paste((0, 0, 0, 0), (LARGE[0] // 2, LARGE[1] // 2, *LARGE))
    return image.convert(mode)


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize(
    ("fmt", "size"),
    [("PNG", LARGE), ("WEBP", LARGE), ("JPEG", (2000, 1900)), *((fmt, (99, 90)) for fmt in ("PNG", "WEBP", "JPEG"))],
)
def test_a_picture_is_rotated_upright(fmt: str, size: tuple[int, int], orientation: int) -> None:
    options = {"lossless": True, "method": 0} if fmt == "WEBP" else {}
    data = save(quarters(*size), fmt, exif=b"Exif\0\0" + exif_with(orientation), **options)
    assert corners_of(data) == TURNED[orientation]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_png_keeps_its_colours(mode: str) -> None:
    assert corners_of(save(quarters(*LARGE).convert(mode))) == AS_IT_IS


def test_a_cmyk_jpeg_keeps_its_colours() -> None:
    image = quarters(300, 9000)  # too narrow to be shrunk while it is decoded
    assert corners_of(save(image.convert("CMYK"), "JPEG", quality=95)) == corners_of(save(image)) == AS_IT_IS


@pytest.mark.parametrize("mode", ["RGBA", "PA"])
def test_transparent_pixels_become_white(mode: str) -> None:
    image = with_holes("RGBA")
    data = save(image) if mode == "RGBA" else save(image.quantize(8))
    assert corners_of(data) == AS_IT_IS


@pytest.mark.parametrize(("mode", "dark", "bright"), [("1", 0, 1), ("L", 0, 255), ("LA", (0, 255), (255, 255)),
                                                      ("I;16", 0, 65_535)])  # fmt: skip
def test_grey_keeps_its_brightness(mode: str, dark: int, bright: int) -> None:
    image = Image.new(mode, LARGE, bright)
    image.paste(dark, (0, 0, LARGE[0] // 2, LARGE[1]))
    left, right = corners_of(save(image))[:2]
    assert left != right == "white"


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("size", [LARGE, (300, 300)])
def test_the_colour_profile_is_applied(mode: str, size: tuple[int, int]) -> None:
    data = save(quarters(*size).convert(mode), icc_profile=swap_profile())
    assert corners_of(data)[0] == "blue"
    assert corners_of(data)[2] == "red"


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
def test_a_profile_of_absurd_size_is_ignored(fmt: str) -> None:
    profile = swap_profile() + bytes(2 * MAX_PROFILE_BYTES)
    data = save(quarters(300, 300), fmt, icc_profile=profile) if fmt != "PNG" else _png_with_profile(profile)
    assert corners_of(data) == AS_IT_IS
    assert fmt == "WEBP" or sum(len(part) for part in read_header(data).parts) < 1.5 * MAX_PROFILE_BYTES


def _png_with_profile(profile: bytes) -> bytes:
    """Returns a PNG with the profile stored, not compressed, so that the file has its full size."""
    whole = save(quarters(300, 300))
    return whole[:33] + chunk(b"iCCP", b"p\0\0" + profile) + whole[33:]


# EXIF


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("head", [b"", b"Exif\0\0"])
def test_the_orientation_is_read_in_both_byte_orders(order: str, head: bytes) -> None:
    assert [read_orientation(memoryview(head + exif_with(i, order))) for i in range(1, 9)] == [*range(1, 9)]


def test_malformed_exif_does_not_rotate() -> None:
    senseless = [
        b"", b"Exif\0\0", b"Exif\0\0nonsense", b"Exif\0\0" + bytes(200), exif_with(0), exif_with(9),
        exif_with(6, kind=4), exif_with(6, count=2), b"JUNK" + exif_with(6)[4:], looping_exif(), exif_bomb(),
        b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", *(exif_with(6)[:length] for length in range(20)),
    ]  # fmt: skip
    assert [exif[:40] for exif in senseless if read_orientation(memoryview(exif)) != 1] == []


def test_the_first_exif_of_a_jpeg_is_used() -> None:
    segments = [segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>"), *(segment(0xE1, b"Exif\0\0" + exif_with(i))
                for i in (6, 3))]  # fmt: skip
    data = insert_segments(save(quarters(300, 300), "JPEG"), segments)
    assert corners_of(data) == TURNED[6]
    with Image.open(BytesIO(data)) as image:
        assert image.format == "JPEG"
