"""Avatars: drawn from a seed, or cut from a given image, always as Telegram's three JPEG squares.

The same seed gives the same face. Grain is laid over it, so that the files weigh what Telegram's do:
160 px ≈ 11 KB, 320 px ≈ 26 KB, 640 px ≈ 75 KB.
"""

import io
import math
import random
import threading
from collections.abc import Callable, Mapping

from PIL import Image, ImageDraw, ImageOps, UnidentifiedImageError

from faketelegram.fields import FieldError

WIDTHS = (160, 320, 640)
CANVAS = 1280  # twice the largest square: shrinking it smooths the edges

# width → (JPEG quality, share of grain), tuned to the byte sizes above
GRAIN = {160: (93, 0.07), 320: (88, 0.07), 640: (86, 0.06)}

BACKGROUNDS = (
    ("#ff9a8b", "#ff5f7e"), ("#a1c4fd", "#5b7ff0"), ("#84fab0", "#3bb4a8"), ("#fbc2eb", "#8f7ae5"),
    ("#fddb92", "#f79d65"), ("#89f7fe", "#4f8df7"), ("#d4fc79", "#6cc27a"), ("#f6d365", "#ef6f6c"),
    ("#c3cfe2", "#7286a8"), ("#f093fb", "#c04a86"),
)  # fmt: skip
SKINS = ("#ffdfc4", "#f2c9a1", "#e3a978", "#c98d5b", "#9c6440", "#6f4429")
HAIRS = ("#2b1d16", "#4a2f1f", "#7b4a26", "#b5792f", "#e2c07a", "#9a9a9f", "#a8382c", "#1b1b22")
SHIRTS = ("#34495e", "#e4572e", "#2e86ab", "#f6f5ae", "#6a4c93", "#1b998b", "#f4f4f6", "#c5283d")
INK = "#2a2230"


class Picture:
    """One picture in its three squares, made on the first request and then kept."""

    def __init__(self, make: Callable[[], Mapping[int, bytes]]) -> None:
        self._make = make
        self._squares: Mapping[int, bytes] | None = None
        self._lock = threading.Lock()

    def at(self, width: int) -> bytes:
        with self._lock:
            if self._squares is None:
                self._squares = self._make()
            return self._squares[width]


def drawn(seed: str) -> Mapping[int, bytes]:
    """A friendly face; each seed has its own."""
    rng = random.Random(seed)  # noqa: S311 - looks, not secrets
    canvas = _background(rng)
    _face(ImageDraw.Draw(canvas), rng)
    return {width: _jpeg(canvas, width, rng) for width in WIDTHS}


def squares(data: bytes) -> Mapping[int, bytes]:
    """A given image, cut to its middle square, in the three sizes: what Telegram does with an upload."""
    with _open(data) as opened:
        try:
            upright = ImageOps.exif_transpose(opened).convert("RGB")
        except (OSError, Image.DecompressionBombError) as error:
            raise FieldError("photo", "is not an image that can be read") from error
    return {width: _encoded(ImageOps.fit(upright, (width, width)), quality=87) for width in WIDTHS}


def measure(data: bytes) -> tuple[int, int]:
    """Return width and height in pixels. Raises FieldError for bytes that are no image."""
    with _open(data) as opened:
        return opened.size


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise FieldError("photo", "is not an image that can be read") from error


def _background(rng: random.Random) -> Image.Image:
    start, end = rng.choice(BACKGROUNDS)
    corners = Image.new("RGB", (2, 2), start)
    corners.paste(end, (1, 1, 2, 2))
    corners.paste(end, (rng.randrange(2), 0, 2, 1) if rng.random() < 0.5 else (0, 1, 1, 2))
    canvas = corners.resize((CANVAS, CANVAS), Image.Resampling.BICUBIC)
    glow = ImageDraw.Draw(canvas, "RGBA")
    for _ in range(5):  # soft discs of light behind the head
        _disc(glow, rng.uniform(0, 1), rng.uniform(0, 0.7), rng.uniform(0.05, 0.2), (255, 255, 255, 26))
    return canvas


def _face(pen: ImageDraw.ImageDraw, rng: random.Random) -> None:
    skin, hair, shirt = rng.choice(SKINS), rng.choice(HAIRS), rng.choice(SHIRTS)
    long_hair, bald, glasses = rng.random() < 0.4, rng.random() < 0.12, rng.random() < 0.3
    if long_hair and not bald:
        _oval(pen, 0.5, 0.54, 0.27, 0.33, hair)
    _oval(pen, 0.5, 1.06, 0.40, 0.30, shirt)
    _oval(pen, 0.5, 0.76, 0.085, 0.12, skin)
    _oval(pen, 0.285, 0.50, 0.04, 0.055, skin)
    _oval(pen, 0.715, 0.50, 0.04, 0.055, skin)
    if not bald:
        _oval(pen, 0.5, 0.42, 0.235, 0.245, hair)
    _oval(pen, 0.5, 0.50, 0.215, 0.26, skin)
    if not bald:
        _cap(pen, 0.5, 0.42, 0.225, 0.235, rng.uniform(0, 28), hair)
    _features(pen, rng)
    if glasses:
        for x in (0.41, 0.59):
            pen.ellipse(_box(x, 0.50, 0.075, 0.07), outline=INK, width=CANVAS // 80)
        pen.line((0.485 * CANVAS, 0.5 * CANVAS, 0.515 * CANVAS, 0.5 * CANVAS), fill=INK, width=CANVAS // 80)


def _features(pen: ImageDraw.ImageDraw, rng: random.Random) -> None:
    look = rng.uniform(-0.008, 0.008)
    for x in (0.41, 0.59):
        _oval(pen, x, 0.50, 0.042, 0.036, "#ffffff")
        _disc(pen, x + look, 0.502, 0.026, INK)
        _disc(pen, x + look + 0.008, 0.494, 0.008, "#ffffff")
        pen.arc(_box(x, 0.455, 0.055, 0.035), 205, 335, fill=INK, width=CANVAS // 90)
        _oval(pen, x + (x - 0.5) * 0.35, 0.585, 0.035, 0.022, "#f08a7d")
    pen.arc(_box(0.5, 0.555, 0.022, 0.018), 20, 160, fill=INK, width=CANVAS // 150)
    high, wide, deep = rng.uniform(0.60, 0.615), rng.uniform(0.06, 0.085), rng.uniform(0.045, 0.07)
    if rng.random() < 0.5:
        _cap(pen, 0.5, high, wide, -deep, 0, "#fff4f0")
    else:
        pen.arc(_box(0.5, high, wide, deep), 15, 165, fill=INK, width=CANVAS // 70)


def _box(x: float, y: float, across: float, down: float) -> tuple[float, float, float, float]:
    """The box of an ellipse, from its centre and radii in shares of the canvas."""
    return ((x - across) * CANVAS, (y - down) * CANVAS, (x + across) * CANVAS, (y + down) * CANVAS)


def _oval(pen: ImageDraw.ImageDraw, x: float, y: float, across: float, down: float, fill: str) -> None:
    pen.ellipse(_box(x, y, across, down), fill=fill)


def _disc(pen: ImageDraw.ImageDraw, x: float, y: float, radius: float, fill: str | tuple[int, int, int, int]) -> None:
    pen.ellipse(_box(x, y, radius, radius), fill=fill)


def _cap(pen: ImageDraw.ImageDraw, x: float, y: float, across: float, down: float, lift: float, fill: str) -> None:
    """The part of an ellipse above a straight cut `lift` degrees over its middle; `down` < 0: the part below."""
    turns = (math.radians(lift + step * (180 - 2 * lift) / 48) for step in range(49))
    edge = [((x + math.cos(turn) * across) * CANVAS, (y - math.sin(turn) * down) * CANVAS) for turn in turns]
    pen.polygon(edge, fill=fill)


def _jpeg(canvas: Image.Image, width: int, rng: random.Random) -> bytes:
    quality, share = GRAIN[width]
    grain = Image.frombytes("L", (width, width), rng.randbytes(width * width)).convert("RGB")
    return _encoded(Image.blend(canvas.reduce(CANVAS // width), grain, share), quality)


def _encoded(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()
