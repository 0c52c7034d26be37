"""Bytes to variants: exact squares from one decode, previews, and refusals, whatever the bytes."""

from __future__ import annotations

import base64
import struct
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from tests.conftest import make_picture, wait_until
from tests.support.hostile_pictures import BLUE, PNG_SIGNATURE, RED, chunk, quarters, save
from tests.support.rendering import color_at, is_near, open_variant, rainbow, run
from warmer.errors import NotAnImage, TooBig
from warmer.formats import FORMATS
from warmer.images import decode, memory
from warmer.images import render as images
from warmer.images.decode import MAX_PIXELS, STEPS
from warmer.images.headers import read_header
from warmer.images.render import PREVIEW_MAX_CHARACTERS, render
from warmer.images.steps import Target
from warmer.photo import SourceImage, VariantSpec


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_size_is_an_exact_square_in_its_format(fmt: str) -> None:
    variants = run(save(rainbow(500, 400), "JPEG"), fmt).variants
    assert [(variant.size, variant.format) for variant in variants] == [(320, fmt), (160, fmt), (80, fmt)]
    for variant in variants:
        with Image.open(BytesIO(variant.body)) as image:
            assert (image.format, image.size, image.mode) == (fmt.upper(), (variant.size, variant.size), "RGB")


@pytest.mark.parametrize("fmt", FORMATS)
def test_the_row_of_a_format_says_whether_a_worker_can_read_it(fmt: str) -> None:
    (stored, *_) = run(save(rainbow(500, 400), "JPEG"), fmt).variants
    try:
        read_header(stored.body)
    except NotAnImage:
        assert not FORMATS[fmt].is_readable
    else:
        assert FORMATS[fmt].is_readable


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


def test_the_same_bytes_give_the_same_variants() -> None:
    data = save(rainbow(200, 200))
    assert run(data) == run(data)


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


def test_bytes_that_are_no_image_and_other_formats_are_refused() -> None:
    foreign = {
        fmt: save(quarters(), fmt) for fmt in ("GIF", "BMP", "TIFF", "ICO", "PPM", "PDF", "EPS", "TGA", "JPEG2000")
    }
    texts = (
        b"",
        b"just text",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<?xml version='1.0'?><svg/>",
        b"%PDF-1.7",
    )
    heads = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\x00\x00\x00\x00WEBPVP8 ")
    for data in (*foreign.values(), *texts, *heads):
        with pytest.raises(NotAnImage):
            run(data)


def test_more_than_16_megapixels_are_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(decode, "_load")
    for width, height in ((5000, 5000), (20_000, 20_000), (2**31 - 1, 2**31 - 1), (MAX_PIXELS + 1, 1)):
        with pytest.raises(TooBig):
            run(PNG_SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT"))


def test_16_megapixels_are_accepted() -> None:
    assert MAX_PIXELS == 16_000_000
    assert len(run(save(Image.new("L", (4000, 4000)), "JPEG")).variants) == 3


def test_one_large_decode_runs_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[Image.Image] = []
    was_alone: list[bool] = []

    def look(image: Image.Image, _: Target) -> Image.Image:
        began.append(image)
        if len(began) == 1:
            wait_until(lambda: decode._large_decode._waiting or len(began) > 1)
            was_alone.append(len(began) == 1)
        return image

    monkeypatch.setattr(decode, "STEPS", (look, *STEPS))
    monkeypatch.setattr(memory, "TIMEOUT_SECONDS", 600)
    data = save(Image.new("L", (1600, 1600)))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: run(data, sizes=(80,)), range(2)))
    assert (was_alone, len(began)) == ([True], 2)


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
