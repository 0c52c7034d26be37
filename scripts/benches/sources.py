"""Pictures to render, the same in every run."""

from __future__ import annotations

import random
from io import BytesIO

from PIL import Image

from faketelegram import pictures

WIDTH = 640


def draw(number: int, width: int = WIDTH) -> bytes:
    """A drawn face with a camera's grain: a JPEG of about 75 KB, 26 KB at 320 px."""
    return pictures.drawn(f"benchmark:{number}")[width]


def make_plain(number: int, width: int) -> bytes:
    """A gradient between four colours: a JPEG of a few KB, cheap to render."""
    corners = random.Random(number).randbytes(3 * 2 * 2)  # noqa: S311 - looks, not secrets
    image = Image.frombytes("RGB", (2, 2), corners).resize((width, width), Image.Resampling.BICUBIC)
    out = BytesIO()
    image.save(out, "JPEG", quality=86)
    return out.getvalue()
