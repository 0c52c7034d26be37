"""The steps from a decoded picture to its largest square; `STEPS` in `decode` has their order."""

from __future__ import annotations

from io import BytesIO
from typing import NamedTuple

from PIL import Image, ImageCms

from warmer.photo import MAX_PROFILE_BYTES

BAND_PIXELS = 500_000

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Target(NamedTuple):
    """The square that the steps make, and the source that it is made from."""

    side: int  # of the largest square, in pixels
    orientation: int  # of the source: EXIF's, 1 to 8
    is_gray: bool = False  # the source has no colours, whatever mode it was decoded to


def shrink(image: Image.Image, target: Target) -> Image.Image:
    """Crop to the central square and average it down to at least twice the side, band by band to save memory."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    factor = side // (2 * target.side)
    if factor < 2:
        is_square = image.width == image.height
        return _make_averageable(image if is_square else image.crop((left, top, left + side, top + side)))
    rows = factor * max(1, BAND_PIXELS // side // factor)
    bands = [
        _make_averageable(image.crop((left, upper, left + side, min(upper + rows, top + side)))).reduce(factor)
        for upper in range(top, top + side, rows)
    ]
    whole = Image.new(bands[0].mode, (bands[0].width, sum(band.height for band in bands)))
    for index, band in enumerate(bands):
        whole.paste(band, (0, index * bands[0].height))
    whole.info = image.info
    return whole


def apply_profile(image: Image.Image, target: Target) -> Image.Image:
    """Convert to sRGB if the picture has a usable colour profile."""
    profile = image.info.get("icc_profile") or b""
    if not 0 < len(profile) <= MAX_PROFILE_BYTES:
        return image
    try:
        if image.mode == "LA" or (image.mode == "RGBA" and target.is_gray):  # the library knows no grey with alpha
            gray, alpha = image.convert("LA").split()
            converted = _convert_to_srgb(gray, profile)
            converted.putalpha(alpha)
            return converted
        return _convert_to_srgb(image, profile) if image.mode in ("RGB", "RGBA", "CMYK", "L") else image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image  # the profile does not fit the picture: ignore it


def flatten(image: Image.Image, _: Target) -> Image.Image:
    """Convert to RGB, with white behind transparent pixels."""
    if image.mode not in ("RGBA", "LA"):
        return image.convert("RGB")
    image = image.convert("RGBA")
    ground = Image.new("RGB", image.size, "white")
    ground.paste(image, mask=image)
    return ground


def resize_to_target(image: Image.Image, target: Target) -> Image.Image:
    """Resize to the largest square."""
    return resize(image, target.side)


def turn_upright(image: Image.Image, target: Target) -> Image.Image:
    """Turn as the EXIF orientation says."""
    return image.transpose(_TURNS[target.orientation]) if target.orientation in _TURNS else image


def resize(image: Image.Image, size: int) -> Image.Image:
    """The square in this size."""
    if image.size == (size, size):
        return image
    if image.size == (2 * size, 2 * size):
        return image.reduce(2)  # a tenth of the time of the filter below, and at most half a decibel worse
    return image.resize((size, size), Image.Resampling.LANCZOS, reducing_gap=2.0)


def _make_averageable(image: Image.Image) -> Image.Image:
    """Convert to a mode whose values can be averaged, with the transparent colour as alpha."""
    if image.mode.startswith("I"):
        return _reduce_to_8_bits(image)
    if "transparency" in image.info:
        return image.convert("RGBA" if image.mode in ("RGB", "P") else "LA")
    return image.convert("L" if image.mode == "1" else "RGB") if image.mode in ("1", "P") else image


def _reduce_to_8_bits(image: Image.Image) -> Image.Image:
    """The upper 8 of 16 bits of grey: Pillow's own conversion clips. The transparent colour is compared in 16 bits."""
    gray = image.point(lambda value: value * (1 / 256)).convert("L")
    key = image.info.get("transparency")
    if key is not None:
        gray.putalpha(image.convert("I").point([255 * (value != key) for value in range(2**16)], "L"))
    return gray


def _convert_to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    mode, srgb = "RGBA" if image.mode == "RGBA" else "RGB", ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(image, BytesIO(profile), srgb, outputMode=mode) or image
