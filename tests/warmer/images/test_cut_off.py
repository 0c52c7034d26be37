"""A picture that lacks its end is told from one that is broken."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.hostile_pictures import save
from tests.support.rendering import rainbow
from warmer.errors import NotAnImage
from warmer.images.headers import lacks_end
from warmer.images.render import render
from warmer.photo import SourceImage, VariantSpec

EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0\xff\xd8\xff\xda\xff\xd9"  # with the end of a thumbnail in it
BATCHES = [[VariantSpec(80, "jpeg")]]


def make(fmt: str) -> bytes:
    return save(rainbow(300, 300), "JPEG" if fmt == "progressive" else fmt, **OPTIONS.get(fmt, {}))


OPTIONS: dict[str, dict[str, Any]] = {"progressive": {"progressive": True}, "JPEG": {"exif": EXIF}}


def decode(data: bytes) -> None:
    list(render(SourceImage(data), BATCHES))


@pytest.mark.parametrize("fmt", ["JPEG", "progressive", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.03, 0.5, 0.98])
def test_a_picture_that_is_cut_off_is_told_from_a_broken_one(fmt: str, share: float) -> None:
    data = make(fmt)
    cut = data[: int(len(data) * share)]
    assert lacks_end(cut)
    with pytest.raises(NotAnImage):
        decode(cut)


@pytest.mark.parametrize("fmt", ["JPEG", "progressive", "PNG", "WEBP"])
def test_a_whole_picture_lacks_no_end_and_is_shown(fmt: str) -> None:
    assert not lacks_end(make(fmt))
    decode(make(fmt) + bytes(100))


def test_a_broken_picture_lacks_no_end() -> None:
    png = bytearray(make("PNG"))
    png[60:200] = bytes(140)
    for broken in (bytes(png), b"PK\3\4" + bytes(90), b"RIFF\4\0\0\0WEBP", b"\xff\xd8\xff\xd9"):
        assert not lacks_end(broken)
        with pytest.raises(NotAnImage):
            decode(broken)


def test_a_whole_file_that_decodes_without_its_last_chunk_is_shown() -> None:
    assert lacks_end(make("PNG")[:-12])
    decode(make("PNG")[:-12])


@pytest.mark.parametrize("data", [b"\xff\xd8\xff" + b"\xe0\0\2" * 5000, b"\xff\xd8\xff" + b"\xe0\0\2\xff" * 5000])
def test_a_jpeg_of_endless_segments_is_broken(data: bytes) -> None:
    with pytest.raises(NotAnImage):
        decode(data + b"\xff\xd9")
