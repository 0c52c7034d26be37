"""The steps between a decoded picture and its largest square; the order is `STEPS` in `images`."""

from __future__ import annotations

from io import BytesIO
from typing import NamedTuple

from PIL import Image, ImageCms

MAX_PROFILE_BYTES = 2**20
BAND_PIXELS = 500_000

Decoded = Image.Image
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Aim(NamedTuple):
    """What a picture is to become: the side of its largest square in pixels; and how it lies, EXIF's 1 to 8."""

    side: int
    orientation: int


def reduced(image: Decoded, aim: Aim) -> Decoded:
    """The middle square, averaged down to not less than twice the side; by bands, so that no copy is large."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    factor = side // (2 * aim.side)
    if factor < 2:
        return _averageable(image if image.width == image.height else image.crop((left, top, left + side, top + side)))
    rows = factor * max(1, BAND_PIXELS // side // factor)
    bands = [
        _averageable(image.crop((left, upper, left + side, min(upper + rows, top + side)))).reduce(factor)
        for upper in range(top, top + side, rows)
    ]
    whole = Image.new(bands[0].mode, (bands[0].width, sum(band.height for band in bands)))
    for index, band in enumerate(bands):
        whole.paste(band, (0, index * bands[0].height))
    whole.info = image.info
    return whole


def srgb(image: Decoded, _: Aim) -> Decoded:
    """In sRGB, where the picture brings a colour profile that can be used."""
    profile = image.info.get("icc_profile") or b""
    if not 0 < len(profile) <= MAX_PROFILE_BYTES or image.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return image
    target = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        converted = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode=target
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image  # a profile that lies about its picture is left out, the pixels stay
    return converted or image


def opaque(image: Decoded, _: Aim) -> Decoded:
    """In RGB, what shines through on white."""
    if image.mode not in ("RGBA", "LA"):
        return image.convert("RGB")
    image = image.convert("RGBA")
    ground = Image.new("RGB", image.size, "white")
    ground.paste(image, mask=image)
    return ground


def exact(image: Decoded, aim: Aim) -> Decoded:
    """As large as its largest square."""
    return resize(image, aim.side)


def upright(image: Decoded, aim: Aim) -> Decoded:
    """Turned as its EXIF orientation says."""
    return image.transpose(_TURNS[aim.orientation]) if aim.orientation in _TURNS else image


def resize(image: Decoded, size: int) -> Decoded:
    """The square in that size."""
    if image.size == (size, size):
        return image
    if image.size == (2 * size, 2 * size):
        return image.reduce(2)  # a tenth of the time of the filter below, and half a decibel below it at most
    return image.resize((size, size), Image.Resampling.LANCZOS, reducing_gap=2.0)


def _averageable(image: Decoded) -> Decoded:
    """In a mode whose values can be averaged."""
    if image.mode.startswith("I"):  # 16 bits a channel, which convert() would clip
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    if "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("L" if image.mode == "1" else "RGB") if image.mode in ("1", "P") else image
