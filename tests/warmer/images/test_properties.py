"""Any bytes give correct squares or one of our errors. The examples are the same in every run."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from tests.support.hostile_pictures import (
    gives_squares_or_our_error,
    looping_exif,
    many_scans,
    quarters,
    save,
    squares_of,
    text_bomb,
    with_checksums,
)
from tests.support.rendering import swap_profile
from tests.support.thorough import bounded
from tests.warmer.images.test_large import exif_with
from warmer.images.orientation import read_orientation

FORMATS = ("JPEG", "PNG", "WEBP")
SIGNATURES = (b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\xff\0\0\0WEBPVP8X", b"RIFF\xff\0\0\0WEBPVP8L")
MODES = {"JPEG": ("L", "RGB", "CMYK"), "PNG": ("1", "L", "LA", "I;16", "P", "RGB", "RGBA"), "WEBP": ("RGB", "RGBA")}


@cache
def whole_files() -> tuple[bytes, ...]:
    """Files of each format, plain and with metadata."""
    image, turned, profile = quarters(70, 60), b"Exif\0\0" + exif_with(6), swap_profile()
    plain = [save(image, fmt) for fmt in FORMATS]
    laden = [save(image, fmt, exif=turned, icc_profile=profile) for fmt in FORMATS]
    bomb = plain[1][:33] + text_bomb(1) + plain[1][33:]
    more = [
        save(image, "JPEG", progressive=True, exif=b"Exif\0\0" + looping_exif()),
        save(image, "WEBP", lossless=True),
        save(image.convert("P"), transparency=0),
        save(image, "PNG", save_all=True, append_images=[image.rotate(90), image.rotate(180)]),
        save(image, "WEBP", save_all=True, append_images=[image.rotate(90), image.rotate(180)]),
        many_scans(64, 64, 20, components=3),
        bomb,
    ]
    return (*plain, *laden, *more)


@bounded(50, 500)
@given(st.sampled_from(SIGNATURES), st.binary(max_size=2000))
@example(b"\xff\xd8\xff", b"\xda\x00\x02")
@example(b"\x89PNG\r\n\x1a\n", b"\0\0\0\0IEND")
def test_any_bytes_give_squares_or_our_error(signature: bytes, rest: bytes) -> None:
    gives_squares_or_our_error(signature + rest)


@bounded(100, 1500)
@given(st.data())
def test_a_damaged_file_gives_squares_or_our_error(data: st.DataObject) -> None:
    mutant = bytearray(data.draw(st.sampled_from(whole_files())))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(0, len(mutant) - 1)))
        length = data.draw(st.integers(0, 40))
        how = data.draw(st.sampled_from(("flip", "replace", "insert", "cut", "repeat", "end")))
        part = bytes(mutant[place : place + length])
        if how == "flip":
            mutant[place : place + length] = bytes(byte ^ 0xFF for byte in part)
        elif how == "end":
            del mutant[place:]
        else:
            filler = data.draw(st.binary(min_size=length, max_size=length)) if how in ("replace", "insert") else part
            mutant[place : place + (0 if how in ("insert", "repeat") else length)] = b"" if how == "cut" else filler
    is_png_mended = mutant.startswith(SIGNATURES[2]) and data.draw(
        st.booleans()
    )  # otherwise the checksum stops the damage
    gives_squares_or_our_error(with_checksums(bytes(mutant)) if is_png_mended else bytes(mutant))


@bounded(50, 500)
@given(st.sampled_from(whole_files()), st.sampled_from(whole_files()), st.data())
def test_two_spliced_files_give_squares_or_our_error(one: bytes, other: bytes, data: st.DataObject) -> None:
    head, tail = data.draw(st.integers(0, len(one))), data.draw(st.integers(0, len(other)))
    gives_squares_or_our_error(one[:head] + other[tail:])


@st.composite
def pictures(draw: st.DrawFn) -> tuple[Image.Image, str, dict[str, Any]]:
    """A picture of any mode and shape, its format and the options for saving it."""
    fmt = draw(st.sampled_from(FORMATS))
    mode = draw(st.sampled_from(MODES[fmt]))
    side = st.one_of(st.integers(1, 40), st.integers(300, 700), st.sampled_from([1279, 1280, 1281, 1500]))
    image = Image.new(mode, (draw(side), draw(side)), 0 if mode in ("1", "P", "I;16") else "teal")
    options: dict[str, Any] = {}
    if draw(st.booleans()):
        options["exif"] = b"Exif\0\0" + exif_with(draw(st.integers(0, 9)))
    if draw(st.booleans()):
        options["icc_profile"] = draw(st.one_of(st.binary(min_size=1, max_size=300), st.just(swap_profile())))
    if fmt == "PNG" and mode in ("1", "L", "P", "I;16") and draw(st.booleans()):
        options["transparency"] = draw(st.integers(0, 1 if mode == "1" else 255))
    return image, fmt, options


@bounded(15, 100)
@given(pictures())
def test_any_picture_becomes_squares(picture: tuple[Image.Image, str, dict[str, Any]]) -> None:
    image, fmt, options = picture
    squares_of(save(image, fmt, **options))


@bounded(50, 300)
@given(st.sampled_from((b"", b"Exif\0\0")), st.sampled_from((b"", b"II*\0", b"MM\0*")), st.binary(max_size=200))
def test_any_exif_has_an_orientation(head: bytes, mark: bytes, rest: bytes) -> None:
    assert read_orientation(memoryview(head + mark + rest)) in range(1, 9)


def test_the_files_to_damage_are_valid() -> None:
    assert len(whole_files()) == 13
    assert all(squares_of(file) for file in whole_files())
