"""Pictures to render, the same in every run: drawn ones, and clouds, whose detail is spread as a photograph's is."""

from __future__ import annotations

import random
from io import BytesIO

from PIL import Image

from faketelegram import pictures

WIDTH = 640
FINER = 0.12  # how much of each octave shows: the finer, the weaker, as in nature


def draw(number: int, width: int = WIDTH) -> bytes:
    """A drawn face with a camera's grain: a JPEG of about 75 KB, 26 KB at 320 px."""
    return pictures.drawn(f"benchmark:{number}")[width]


def make_clouds(number: int) -> bytes:
    """Noise of every scale in colour: a JPEG of about 100 KB."""
    chance = random.Random(number)  # noqa: S311 - looks, not secrets
    image = _patches(chance, 2, WIDTH)
    for octave in range(2, 10):
        image = Image.blend(image, _patches(chance, 2**octave, WIDTH), FINER)
    return _jpeg(image)


def make_plain(number: int, width: int) -> bytes:
    """Four colours that flow into each other: a JPEG of a few KB, cheap to render."""
    return _jpeg(_patches(random.Random(number), 2, width))  # noqa: S311 - as above


def _patches(chance: random.Random, side: int, width: int) -> Image.Image:
    grid = Image.frombytes("RGB", (side, side), chance.randbytes(3 * side * side))
    return grid.resize((width, width), Image.Resampling.BICUBIC)


def _jpeg(image: Image.Image) -> bytes:
    out = BytesIO()
    image.save(out, "JPEG", quality=86)
    return out.getvalue()
