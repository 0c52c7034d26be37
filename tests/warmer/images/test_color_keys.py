"""A PNG may name one transparent color (tRNS): it is compared at the depth of the file, on white it is white.

The files are written here and the colors computed here, without Pillow.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence

import pytest

from tests.support.hostile_pictures import PNG_SIGNATURE, chunk, exif_bomb, squares_of
from tests.support.rendering import Color, color_at, is_near, swap_profile
from tests.warmer.images.test_large import exif_with

ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
PLAIN = ((0, 0, 1, 1),)
GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
CORNERS = ((0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8))
SIZES = [(64, 64), (1400, 1300)]  # the second is averaged band by band


def write_png(
    size: tuple[int, int], depth: int, kind: int, quarters: tuple[Color, ...], *chunks: bytes, interlaced: bool = False
) -> bytes:
    """A PNG of four colors: above left and right, below left and right; `chunks` stand before the pixels."""
    header = struct.pack(">IIBBBBB", *size, depth, kind, 0, 0, interlaced)
    rows = b"".join(_pack_rows(size, depth, quarters, ADAM7 if interlaced else PLAIN))
    pixels = chunk(b"IDAT", zlib.compress(rows, 1))
    return PNG_SIGNATURE + chunk(b"IHDR", header) + b"".join(chunks) + pixels + chunk(b"IEND")


def _pack_rows(
    size: tuple[int, int], depth: int, quarters: tuple[Color, ...], passes: tuple[tuple[int, ...], ...]
) -> Iterator[bytes]:
    width, height = size
    for left, top, across, down in passes:
        columns, on_left = (len(range(left, end, across)) for end in (width, width // 2))
        above, below = (
            b"\0" + _pack_samples([*one * on_left, *other * (columns - on_left)], depth)
            for one, other in (quarters[:2], quarters[2:])
        )
        for y in range(top, height, down) if columns else ():
            yield above if y < height // 2 else below


def _pack_samples(samples: list[int], depth: int) -> bytes:
    if depth >= 8:
        return struct.pack(f">{len(samples)}{'H' if depth == 16 else 'B'}", *samples)
    bits = "".join(f"{sample:0{depth}b}" for sample in samples)
    return bytes(int(bits[place : place + 8].ljust(8, "0"), 2) for place in range(0, len(bits), 8))


def color_key(*samples: int) -> bytes:
    return chunk(b"tRNS", struct.pack(f">{len(samples)}H", *samples))


def show(color: Color, depth: int, key: Color) -> Color:
    """The color on a white page (PNG specification, 11.3.2.1 and 13.12)."""
    if color == key:
        return (255, 255, 255)
    shown = tuple(round(sample * 255 / (2**depth - 1)) for sample in color)
    return shown * 3 if len(shown) == 1 else shown


def assert_shown(data: bytes, expected: Sequence[Color], tolerance: int = 6) -> None:
    for square in (squares_of(data)[index] for index in (1, 3)):  # WebP and JPEG
        found = [color_at(square, *place) for place in CORNERS]
        assert all(is_near(*pair, tolerance) for pair in zip(found, expected, strict=True)), (found, expected)


# For each depth the key, two neighbours that differ in one bit, and another color.
GRAYS: dict[int, tuple[Color, ...]] = {
    1: ((1,), (0,), (0,), (1,)),
    2: ((2,), (1,), (0,), (3,)),
    4: ((5,), (4,), (13,), (0,)),
    8: ((77,), (76,), (200,), (0,)),
    16: ((0x4D4E,), (0x4D4F,), (0xC84E,), (0x4E4D,)),
}
COLORS: dict[int, tuple[Color, ...]] = {
    8: ((200, 100, 50), (200, 100, 51), (50, 100, 200), (0, 0, 0)),
    16: ((0xC801, 0x6402, 0x3203), (0xC801, 0x6403, 0x3203), (0xC901, 0x6402, 0x3203), (0x01C8, 0x0264, 0x0332)),
}


@pytest.mark.parametrize("interlaced", [False, True], ids=["in rows", "interlaced"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("depth", GRAYS)
def test_one_gray_is_transparent_in_every_depth(depth: int, size: tuple[int, int], interlaced: bool) -> None:
    quarters = GRAYS[depth]
    for key in set(quarters):
        data = write_png(size, depth, GRAY, quarters, color_key(*key), interlaced=interlaced)
        assert_shown(data, [show(color, depth, key) for color in quarters])


@pytest.mark.parametrize("interlaced", [False, True], ids=["in rows", "interlaced"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("depth", COLORS)
def test_one_color_is_transparent_in_every_depth(depth: int, size: tuple[int, int], interlaced: bool) -> None:
    quarters = COLORS[depth]
    for key in quarters[:2]:
        data = write_png(size, depth, RGB, quarters, color_key(*key), interlaced=interlaced)
        assert_shown(data, [show(color, depth, key) for color in quarters])


@pytest.mark.parametrize(("depth", "kind"), [(8, GRAY), (2, GRAY), (8, RGB)])
def test_bits_above_the_depth_of_the_file_do_not_count(depth: int, kind: int) -> None:
    quarters = GRAYS[depth] if kind == GRAY else COLORS[depth]
    key = color_key(*(sample | 1 << depth for sample in quarters[0]))
    assert_shown(write_png((64, 64), depth, kind, quarters, key), [show(c, depth, quarters[0]) for c in quarters])


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("size", SIZES)
def test_a_palette_has_alpha_for_each_color(depth: int, size: tuple[int, int]) -> None:
    palette = chunk(b"PLTE", bytes([200, 100, 50, 50, 100, 200]))
    alpha = chunk(b"tRNS", b"\x80")  # for the first; the others are opaque
    data = write_png(size, depth, PALETTE, ((0,), (1,), (1,), (0,)), palette, alpha)
    seen, whole = tuple(round(255 + (c - 255) * 128 / 255) for c in (200, 100, 50)), (50, 100, 200)
    assert_shown(data, [seen, whole, whole, seen])


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("kind", [GRAY_ALPHA, RGB_ALPHA])
def test_an_alpha_channel_is_blended_in_both_depths(kind: int, depth: int) -> None:
    scale = 257 if depth == 16 else 1
    grays: tuple[Color, ...] = ((60,), (60,), (200,), (0,))
    colors: tuple[Color, ...] = ((60, 9, 90), (60, 9, 90), (0, 200, 9), (0, 200, 9))
    colors = grays if kind == GRAY_ALPHA else colors
    alphas = (255, 0, 128, 64)
    quarters = tuple((*(c * scale for c in color), a * scale) for color, a in zip(colors, alphas, strict=True))
    expected = [
        tuple(round(255 + (c - 255) * a / 255) for c in (color * 3 if len(color) == 1 else color))
        for color, a in zip(colors, alphas, strict=True)
    ]
    stray = color_key(60 * scale)  # not allowed beside an alpha channel: it is ignored
    assert_shown(write_png((64, 64), depth, kind, quarters, stray), expected)


def test_a_key_goes_with_a_profile_and_an_orientation() -> None:
    red, blue, key = (0xFFFF, 0, 0), (0, 0, 0xFFFF), (0xFFFF, 0, 1)
    profile = chunk(b"iCCP", b"p\0\0" + zlib.compress(swap_profile()))
    exif = chunk(b"eXIf", exif_with(3))
    data = write_png((64, 64), 16, RGB, (red, blue, key, key), profile, color_key(*key), exif)
    assert_shown(data, [(255, 255, 255)] * 2 + [(255, 0, 0), (0, 0, 255)], 24)


def make_gray_profile(gamma: float) -> bytes:
    """The smallest profile of gray: a white point and a curve (ICC.1, 7.2, 8.5 and 10.6)."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    white = b"XYZ " + bytes(4) + struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D)
    text = b"desc" + bytes(4) + struct.pack(">I", 2) + b"g\0" + bytes(78)
    place, tags, body = 128 + 4 + 3 * 12, [], b""
    for name, content in ((b"desc", text), (b"wtpt", white), (b"kTRC", curve)):
        padded = content + bytes(-len(content) % 4)
        tags.append(name + struct.pack(">II", place + len(body), len(content)))
        body += padded
    table = struct.pack(">I", len(tags)) + b"".join(tags)
    head = struct.pack(">I4sI4s4s4s12s4s", place + len(body), b"lcms", 0x02100000, b"mntr", b"GRAY", b"XYZ ",
                       struct.pack(">6H", 2026, 1, 1, 0, 0, 0), b"acsp")  # fmt: skip
    illuminant = struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D)
    return (head.ljust(68, b"\0") + illuminant).ljust(128, b"\0") + table + body


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("kind", [GRAY, GRAY_ALPHA])
@pytest.mark.parametrize("keyed", [False, True])
def test_a_profile_of_gray_is_applied_with_and_without_alpha(kind: int, depth: int, keyed: bool) -> None:
    scale = 257 if depth == 16 else 1
    linear = 0.25
    sample = round(linear * 255) * scale
    quarters = ((sample, 255 * scale),) * 4 if kind == GRAY_ALPHA else ((sample,),) * 3 + ((0,),)
    profile = chunk(b"iCCP", b"p\0\0" + zlib.compress(make_gray_profile(1.0)))
    chunks = (profile, color_key(0)) if keyed and kind == GRAY else (profile,)
    shown = round(255 * (1.055 * linear ** (1 / 2.4) - 0.055))  # sRGB (IEC 61966-2-1) of that light
    square = squares_of(write_png((64, 64), depth, kind, quarters, *chunks))[1]
    assert is_near(color_at(square, *CORNERS[0]), (shown,) * 3, 6)


@pytest.mark.parametrize("content", [b"", b"\0", b"\0\1\0", exif_bomb(1_500_000)])
@pytest.mark.parametrize("kind", [GRAY, RGB])
def test_a_key_of_another_length_is_harmless(kind: int, content: bytes) -> None:
    quarters = GRAYS[8] if kind == GRAY else COLORS[8]
    assert squares_of(write_png((64, 64), 8, kind, quarters, chunk(b"tRNS", content)))


def test_neighbouring_colors_of_a_gradient_stay_opaque() -> None:
    header = struct.pack(">IIBBBBB", 512, 512, 16, RGB, 0, 0, 0)
    row = b"\0" + b"".join(struct.pack(">HHH", 0x4000, 0x4000 + x, 0x4000) for x in range(512))
    pixels = chunk(b"IDAT", zlib.compress(row * 512))
    data = PNG_SIGNATURE + chunk(b"IHDR", header) + color_key(0x4000, 0x4080, 0x4000) + pixels + chunk(b"IEND")
    square = squares_of(data)[1]
    assert is_near(color_at(square, 0.4, 0.5), (64, 64, 64))  # the key lies at 0.25; the upper bytes are the same
    assert not is_near(color_at(square, 0.25, 0.5), (64, 64, 64))
