"""What each encoder costs, weighs and loses, at the qualities that are used, over pictures of two kinds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from io import BytesIO
from statistics import fmean
from typing import Any

from PIL import Image, ImageChops, ImageStat

from benches import cpu, sources
from benches.book import Book
from warmer.images.render import ENCODERS, encode

SIZE = 160
ROUNDS, TIMES = 3, 5
KINDS = {"drawn": sources.draw, "clouds": sources.make_clouds}
EACH = 3  # pictures of a kind


def measure(book: Book) -> None:
    """Note for every encoder its CPU ms (the mean over the pictures, in rounds), and bytes and PSNR of each picture."""
    for kind, make in KINDS.items():
        images = [shrink(make(number), SIZE) for number in range(EACH)]
        for fmt, options in _list_encoders():
            _measure(book, f"encode {SIZE} px, {kind}", images, fmt, options)


def shrink(source: bytes, size: int) -> Image.Image:
    """The whole picture decoded and shrunk with the best filter: what an encoder is held to."""
    with Image.open(BytesIO(source)) as image:
        return image.convert("RGB").resize((size, size), Image.Resampling.LANCZOS)


def psnr(image: Image.Image, exact: Image.Image) -> float:
    """Peak signal-to-noise ratio in dB."""
    squares = ImageStat.Stat(ImageChops.difference(image.convert("RGB"), exact)).sum2
    return 10 * math.log10(255**2 * 3 * exact.width * exact.height / max(1.0, sum(squares)))


def _list_encoders() -> Iterator[tuple[str, dict[str, Any]]]:
    for method in range(7):
        yield "webp", {"method": method}
    for optimize in (False, True):
        for progressive in (False, True):
            yield "jpeg", {"optimize": optimize, "progressive": progressive}
    for speed in range(6, 11):
        yield "avif", {"speed": speed}


def _measure(book: Book, work: str, images: Sequence[Image.Image], fmt: str, options: dict[str, Any]) -> None:
    words = [f"{name} {value}" if type(value) is int else name for name, value in options.items() if value is not False]
    is_ours = all(ENCODERS[fmt][1].get(name, False) == value for name, value in options.items())
    who = ", ".join([fmt, *words, *(["as used"] if is_ours else [])])
    for _ in range(ROUNDS):
        costs = [cpu.measure_ms(partial(encode, image, fmt, **options), TIMES) for image in images]
        book.note(work, who, {"CPU ms": fmean(costs)})
    for image in images:
        body = encode(image, fmt, **options)
        book.note(work, who, {"bytes": len(body), "PSNR dB": psnr(Image.open(BytesIO(body)), image)})
