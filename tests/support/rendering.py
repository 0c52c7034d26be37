"""Helpers of the rendering tests: pictures, renderings, and the colours of a variant."""

from __future__ import annotations

import struct
from io import BytesIO

from PIL import Image, ImageCms

from warmer.images.render import render
from warmer.photo import Rendering, SourceImage, VariantSpec

SIZES = (80, 160, 320)
BLACK = (0, 0, 0)
Color = tuple[int, ...]


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


def rainbow(width: int, height: int) -> Image.Image:
    """An image that does not compress well."""
    return Image.effect_mandelbrot((width, height), (-2, -1.5, 1, 1.5), 60).convert("RGB")


def swap_profile() -> bytes:
    """The sRGB profile with the primaries of red and blue swapped."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {bytes(data[p : p + 4]): p for p in range(132, 132 + 12 * struct.unpack(">I", data[128:132])[0], 12)}
    red, blue = tags[b"rXYZ"], tags[b"bXYZ"]
    data[red + 4 : red + 12], data[blue + 4 : blue + 12] = data[blue + 4 : blue + 12], data[red + 4 : red + 12]
    return bytes(data)
