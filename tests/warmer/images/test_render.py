"""Bytes to variants: square, upright, sRGB, without metadata, from one decode, whatever the bytes."""

from __future__ import annotations

import base64
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from PIL import Image, ImageCms, ImageDraw, PngImagePlugin

from tests.conftest import make_picture, wait_until
from warmer.errors import NotAnImage, TooBig
from warmer.images import decode, memory
from warmer.images import render as images
from warmer.images.decode import MAX_PIXELS, STEPS
from warmer.images.render import PREVIEW_MAX_CHARACTERS, encode, make_preview, render
from warmer.images.steps import Target
from warmer.photo import FORMATS, Rendering, SourceImage, VariantSpec

SIZES = (80, 160, 320)
RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)
Color = tuple[int, ...]


def save(image: Image.Image, fmt: str = "PNG", **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, fmt, **options)
    return out.getvalue()


def run(data: bytes, fmt: str = "webp", sizes: tuple[int, ...] = SIZES) -> Rendering:
    """Render all sizes in one batch, largest first."""
    (rendering,) = render(SourceImage(data, "AQAD"), [[VariantSpec(size, fmt) for size in sizes[::-1]]])
    return rendering


def open_variant(data: bytes, fmt: str = "webp", size: int = 80) -> Image.Image:
    """Returns one variant of these bytes as an image."""
    (variant,) = run(data, fmt, (size,)).variants
    return Image.open(BytesIO(variant.body))


def color_at(image: Image.Image, x: float, y: float) -> Color:
    """Returns the colour at a position given in fractions of the side."""
    pixel = image.convert("RGB").getpixel((int(x * (image.width - 1)), int(y * (image.height - 1))))
    assert isinstance(pixel, tuple)
    return tuple(int(value) for value in pixel)


def is_near(one: Color, other: Color, by: int = 12) -> bool:
    return all(abs(a - b) <= by for a, b in zip(one, other, strict=True))


def quarters(width: int = 64, height: int = 64) -> Image.Image:
    """An image with red and green above, blue and white below."""
    image = Image.new("RGB", (width, height), WHITE)
    draw, x, y = ImageDraw.Draw(image), width // 2, height // 2
    draw.rectangle((0, 0, x - 1, y - 1), RED)
    draw.rectangle((x, 0, width, y - 1), GREEN)
    draw.rectangle((0, y, x - 1, height), BLUE)
    return image


def rainbow(width: int, height: int) -> Image.Image:
    """An image that does not compress well."""
    return Image.effect_mandelbrot((width, height), (-2, -1.5, 1, 1.5), 60).convert("RGB")


def png_with_header(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims this size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


# Sizes and formats


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_size_is_an_exact_square_in_its_format(fmt: str) -> None:
    variants = run(save(rainbow(500, 400), "JPEG"), fmt).variants
    assert [(variant.size, variant.format) for variant in variants] == [(320, fmt), (160, fmt), (80, fmt)]
    for variant in variants:
        with Image.open(BytesIO(variant.body)) as image:
            assert (image.format, image.size, image.mode) == (fmt.upper(), (variant.size, variant.size), "RGB")


@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (1, 300), (300, 1), (79, 81), (160, 160), (641, 640), (1000, 30)]
)
def test_any_shape_becomes_a_square(width: int, height: int) -> None:
    assert [Image.open(BytesIO(v.body)).size for v in run(make_picture(width, height)).variants] == [
        (s, s) for s in SIZES[::-1]
    ]


def test_the_centre_of_the_picture_is_kept() -> None:
    wide = Image.new("RGB", (300, 100), RED)
    wide.paste(BLUE, (100, 0, 200, 100))
    assert all(is_near(color_at(open_variant(save(wide)), x, 0.5), BLUE) for x in (0.05, 0.5, 0.95))


def test_all_sizes_come_from_one_decode_no_larger_than_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    def look(image: Image.Image, _: Target) -> Image.Image:
        seen.append(image.size)
        return image

    monkeypatch.setattr(decode, "STEPS", (look, *STEPS))
    run(make_picture(2560, 1280))
    assert seen == [(640, 320)]


def test_the_rendering_carries_the_unique_id() -> None:
    assert run(make_picture()).unique_id == "AQAD"


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
def test_three_formats_are_read(fmt: str) -> None:
    assert is_near(color_at(open_variant(make_picture(color=RED, fmt=fmt)), 0.5, 0.5), RED, 20)


def test_the_same_bytes_give_the_same_variants() -> None:
    data = save(rainbow(200, 200))
    assert run(data) == run(data)


# Orientation


@pytest.mark.parametrize(
    ("orientation", "top_left"),
    [(1, RED), (2, GREEN), (3, WHITE), (4, BLUE), (5, RED), (6, BLUE), (7, WHITE), (8, GREEN)],
)
@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_rotated_upright(fmt: str, orientation: int, top_left: Color) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert is_near(color_at(open_variant(save(quarters(), fmt, exif=exif)), 0.2, 0.2), top_left, 40)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_is_ignored(fmt: str) -> None:
    for exif in [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0nonsense", b"Exif\0\0" + bytes(200)]:
        assert open_variant(save(quarters(), fmt, exif=exif)).size == (80, 80), exif[:20]


# Colours


def make_wide_profile() -> bytes:
    """A profile with other primaries, in which red is not the red of sRGB."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ"))
    return profile.tobytes()


def swap_profile() -> bytes:
    """The sRGB profile with the primaries of red and blue swapped."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {bytes(data[p : p + 4]): p for p in range(132, 132 + 12 * struct.unpack(">I", data[128:132])[0], 12)}
    red, blue = tags[b"rXYZ"], tags[b"bXYZ"]
    data[red + 4 : red + 12], data[blue + 4 : blue + 12] = data[blue + 4 : blue + 12], data[red + 4 : red + 12]
    return bytes(data)


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
def test_a_colour_profile_is_applied(fmt: str) -> None:
    data = save(Image.new("RGB", (64, 64), RED), fmt, icc_profile=swap_profile())
    assert is_near(color_at(open_variant(data), 0.5, 0.5), BLUE, 24)


def test_a_colour_profile_does_not_change_transparency() -> None:
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((*RED, 255), (0, 0, 32, 64))
    shown = open_variant(save(image, icc_profile=swap_profile()))
    assert is_near(color_at(shown, 0.2, 0.5), BLUE, 24)
    assert is_near(color_at(shown, 0.8, 0.5), WHITE)


@pytest.mark.parametrize("profile", [b"nonsense", bytes(200), make_wide_profile()])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_an_unsuitable_profile_is_ignored(profile: bytes, mode: str) -> None:
    data = save(Image.new(mode, (64, 64)), "JPEG", icc_profile=profile)
    assert open_variant(data).size == (80, 80)


def test_cmyk_keeps_its_colours() -> None:
    data = save(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), "JPEG")
    assert is_near(color_at(open_variant(data), 0.5, 0.5), RED, 16)


@pytest.mark.parametrize(("value", "shown"), [(0, 0), (32_768, 128), (65_535, 255)])
def test_16_bits_per_channel_keep_their_brightness(value: int, shown: int) -> None:
    image = Image.new("I;16", (64, 64), value)
    assert is_near(color_at(open_variant(save(image)), 0.5, 0.5), (shown,) * 3, 3)


@pytest.mark.parametrize(
    ("mode", "color", "shown"),
    [
        ("L", 128, (128,) * 3),
        ("1", 1, WHITE),
        ("LA", (0, 255), BLACK),
        ("LA", (0, 0), WHITE),
        ("RGBA", (255, 0, 0, 0), WHITE),
        ("RGBA", (255, 0, 0, 255), RED),
        ("RGBA", (0, 0, 0, 128), (127,) * 3),
    ],
)
def test_transparent_pixels_become_white(mode: str, color: Any, shown: Color) -> None:
    assert is_near(color_at(open_variant(make_picture(mode=mode, color=color, fmt="PNG")), 0.5, 0.5), shown)


@pytest.mark.parametrize(
    ("transparency", "shown"), [(None, RED), (0, WHITE), (b"\x00", WHITE), (b"\x80", (255, 127, 127))]
)
def test_a_palette_can_be_transparent(transparency: Any, shown: Color) -> None:
    image = Image.new("P", (64, 64), 0)
    image.putpalette([*RED, *BLUE])
    options = {} if transparency is None else {"transparency": transparency}
    assert is_near(color_at(open_variant(save(image, **options)), 0.5, 0.5), shown)


@pytest.mark.parametrize(("mode", "color"), [("RGB", (255, 0, 0)), ("L", 77)])
def test_a_single_colour_can_be_transparent(mode: str, color: Any) -> None:
    data = make_picture(mode=mode, color=color, fmt="PNG", transparency=color)
    assert is_near(color_at(open_variant(data), 0.5, 0.5), WHITE)


@pytest.mark.parametrize("fmt", ["PNG", "WEBP"])
def test_an_animation_gives_its_first_frame(fmt: str) -> None:
    frames = [Image.new("RGB", (64, 64), color) for color in (RED, BLUE, GREEN)]
    data = save(frames[0], fmt, save_all=True, append_images=frames[1:], duration=100)
    shown = open_variant(data)
    assert is_near(color_at(shown, 0.5, 0.5), RED, 20)
    assert getattr(shown, "n_frames", 1) == 1


# Metadata


@pytest.mark.parametrize("out", FORMATS)
@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
def test_variants_contain_no_metadata(fmt: str, out: str) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "secret-exif", 1
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "secret-text")
    own: dict[str, dict[str, Any]] = {"JPEG": {"comment": b"secret-comment"}, "PNG": {"pnginfo": text}, "WEBP": {}}
    data = save(rainbow(100, 100), fmt, exif=exif, xmp=b"<x>secret-xmp</x>", icc_profile=swap_profile(), **own[fmt])
    assert b"secret" in data
    shown = open_variant(data, out)
    assert not {"exif", "icc_profile", "xmp", "comment", "photoshop"} & set(shown.info)
    assert not shown.getexif()
    assert b"secret" not in run(data, out, (80,)).variants[0].body


# The preview


@pytest.mark.parametrize(
    "image", [rainbow(640, 640), quarters(640, 640), Image.effect_noise((640, 640), 200).convert("RGB")]
)
def test_the_preview_is_a_small_data_uri(image: Image.Image) -> None:
    preview = run(save(image)).preview
    assert len(preview) <= PREVIEW_MAX_CHARACTERS == 300
    head, body = preview.split(",")
    assert head == "data:image/webp;base64"
    with Image.open(BytesIO(base64.b64decode(body))) as shown:
        assert shown.width == shown.height >= 8


def test_a_preview_of_noise_fits_the_limit() -> None:
    noise = Image.merge("RGB", [Image.effect_noise((320, 320), 255) for _ in range(3)])
    assert 0 < len(make_preview(noise)) <= PREVIEW_MAX_CHARACTERS


def test_later_formats_have_no_preview() -> None:
    (rendering,) = render(SourceImage(make_picture()), [[VariantSpec(80, "jpeg")]], with_preview=False)
    assert rendering.preview == ""


def spy(monkeypatch: pytest.MonkeyPatch, name: str) -> list[tuple[int, Any]]:
    """Record the width of the picture and the second argument of each call of a function of `images`."""
    calls: list[tuple[int, Any]] = []
    real = getattr(images, name)

    def call(image: Image.Image, how: Any, **options: Any) -> Any:
        calls.append((image.width, how))
        return real(image, how, **options)

    monkeypatch.setattr(images, name, call)
    return calls


def test_batches_are_rendered_one_by_one_and_the_last_has_the_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = spy(monkeypatch, "encode")
    batches = [
        [VariantSpec(160, "jpeg")],
        [VariantSpec(320, "webp"), VariantSpec(160, "webp"), VariantSpec(80, "webp")],
    ]
    parts = render(SourceImage(make_picture()), batches)
    first = next(parts)
    assert (encoded, first.preview) == ([(160, "jpeg")], "")
    (second,) = parts
    assert [variant.spec for variant in second.variants] == batches[1]
    assert second.preview


def test_a_smaller_size_is_resized_from_the_next_larger_one(monkeypatch: pytest.MonkeyPatch) -> None:
    resized = spy(monkeypatch, "resize")
    list(
        render(
            SourceImage(make_picture(640, 640)),
            [[VariantSpec(160, "webp")], [VariantSpec(320, "webp"), VariantSpec(80, "webp")]],
        )
    )
    assert resized[:2] == [(320, 160), (160, 80)]


# Refusals


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"just text",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7\n1 0 obj",
        b"<!doctype html><title>Welcome</title>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"RIFF\x00\x00\x00\x00WEBPVP8 ",
    ],
)
def test_bytes_that_are_no_image_are_refused(data: bytes) -> None:
    with pytest.raises(NotAnImage):
        run(data)


@pytest.mark.parametrize("fmt", ["GIF", "BMP", "TIFF", "ICO", "PPM", "PDF", "EPS", "TGA", "JPEG2000"])
def test_other_formats_are_refused(fmt: str) -> None:
    with pytest.raises(NotAnImage):
        run(save(quarters(), fmt))


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_picture_is_refused(fmt: str, share: float) -> None:
    data = save(rainbow(300, 300), fmt)
    with pytest.raises(NotAnImage):
        run(data[: int(len(data) * share)])


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
def test_damaged_bytes_give_a_picture_or_our_error(fmt: str) -> None:
    whole = save(rainbow(100, 100), fmt)
    for place in range(8, len(whole), max(1, len(whole) // 60)):
        data = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        with suppress(NotAnImage, TooBig):  # no other error
            assert len(run(data, sizes=(80,)).variants) == 1


def test_more_than_16_megapixels_are_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(decode, "_load")
    for width, height in ((5000, 5000), (20_000, 20_000), (2**31 - 1, 2**31 - 1), (MAX_PIXELS + 1, 1)):
        with pytest.raises(TooBig):
            run(png_with_header(width, height))


def test_16_megapixels_are_accepted() -> None:
    assert MAX_PIXELS == 16_000_000
    assert len(run(save(Image.new("L", (4000, 4000)), "JPEG")).variants) == 3


def test_one_large_decode_runs_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most = [0], [0]
    lock = threading.Lock()

    def look(image: Image.Image, _: Target) -> Image.Image:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        copy = image.copy()
        with lock:
            inside[0] -= 1
        return copy

    monkeypatch.setattr(decode, "STEPS", (look, *STEPS))
    monkeypatch.setattr(memory, "TIMEOUT_SECONDS", 600)
    data = save(Image.new("L", (1600, 1600)))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: run(data, sizes=(80,)), range(8)))
    assert most == [1]


def test_small_pictures_do_not_wait_for_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "TIMEOUT_SECONDS", 600)
    semaphore = decode._large_decode
    with ThreadPoolExecutor(1) as pool:
        with semaphore.acquire(semaphore.size, 0):
            large = pool.submit(run, make_picture(1500, 1500))
            wait_until(lambda: semaphore._waiting)
            assert run(make_picture(1400, 1400)).variants
            assert not large.done()
        assert large.result().variants


@pytest.mark.parametrize("fmt", FORMATS)
def test_encode_writes_a_file_of_that_format(fmt: str) -> None:
    assert Image.open(BytesIO(encode(quarters(), fmt))).format == fmt.upper()
