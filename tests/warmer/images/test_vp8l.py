"""Prefix code groups of lossless WebP are counted like in libwebp, and ordinary pictures have few."""

from __future__ import annotations

import struct

import pytest
from PIL import Image

from tests.support.hostile_pictures import corners_of, noise, quarters, save
from tests.support.hostile_webp import riff, stream_of_groups
from warmer.images import decode, png_webp, vp8l
from warmer.images.headers import read_header
from warmer.images.vp8l import count_groups

MOST_GROUPS_BYTES = 1_000_000


@pytest.mark.parametrize("transforms", [False, True])
@pytest.mark.parametrize("groups", [1, 2, 256, 999, 1000, 1001, 4096])
def test_the_groups_of_a_stream_are_counted(groups: int, transforms: bool) -> None:
    assert count_groups(memoryview(stream_of_groups(256, groups, transforms)), 256, 256) == groups


@pytest.mark.parametrize(("groups", "counted"), [(901, 901), (4096, 15)])
def test_groups_that_no_block_uses_are_counted_where_libwebp_keeps_them(groups: int, counted: int) -> None:
    assert count_groups(memoryview(stream_of_groups(64, groups, step=300)), 64, 64) == counted


def test_a_stream_that_ends_early_is_not_counted() -> None:
    stream = memoryview(stream_of_groups(64, 256, transforms=True))
    assert {count_groups(stream[:length], 64, 64) for length in range(0, 300, 7)} == {None}


def test_a_stream_with_too_much_to_read_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = memoryview(stream_of_groups(256, 2))
    monkeypatch.setattr(vp8l, "MAX_COUNTED_PIXELS", 64 * 64)
    assert count_groups(stream, 256, 256) == 2
    monkeypatch.setattr(vp8l, "MAX_COUNTED_PIXELS", 64 * 64 - 1)
    assert count_groups(stream, 256, 256) is None


def make_detailed(mode: str, size: tuple[int, int]) -> Image.Image:
    """Returns the quarters with noise, also in the alpha channel."""
    picture = Image.blend(quarters(*size).convert(mode), noise(*size, mode), 0.2)
    if mode == "RGBA":
        picture.putalpha(noise(*size, "L").point(lambda value: 215 + value * 40 // 255))
    return picture


@pytest.mark.parametrize(
    ("size", "method"), [((512, 512), 0), ((512, 512), 4), ((512, 512), 6), ((1024, 768), 0), ((1024, 768), 3)]
)
@pytest.mark.parametrize(("mode", "lossless"), [("RGB", True), ("RGBA", True), ("RGBA", False)])
def test_a_lossless_webp_with_many_details_is_rendered(
    mode: str, lossless: bool, size: tuple[int, int], method: int
) -> None:
    data = save(make_detailed(mode, size), "WEBP", lossless=lossless, method=method)
    header = read_header(data)
    assert header.buffer_bytes - 3 * len(data) < MOST_GROUPS_BYTES
    assert decode._estimate_bytes(header, 320) < decode._large_decode.size / 2
    assert corners_of(data) == ["red", "green", "blue", "white"]


@pytest.mark.parametrize("colors", [2, 3, 4, 16, 17, 256])
@pytest.mark.parametrize("method", [0, 6])
def test_a_palette_of_any_size_is_counted(colors: int, method: int) -> None:
    picture = noise(333, 200).quantize(colors).convert("RGB")
    data = save(picture, "WEBP", lossless=True, method=method, exact=True)
    assert read_header(data).buffer_bytes - 3 * len(data) < MOST_GROUPS_BYTES


def test_a_file_with_two_pictures_costs_no_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of streams in one file would otherwise take minutes."""
    one = riff(b"VP8L", b"\x2f" + struct.pack("<I", 255 | 255 << 14) + stream_of_groups(256, 300))
    calls = list[int]()
    monkeypatch.setattr(png_webp, "count_groups", lambda *_: calls.append(1))
    for streams in (1, 2, 30):
        read_header(riff(b"RIFF", b"WEBP" + riff(b"VP8X", bytes(4) + b"\xff\0\0" * 2) + one * streams))
    assert calls == [1]
