"""Bytes to variants: squares in every size and format, upright, sRGB, without metadata, from one decode.

Bytes come from strangers. The caps are checked on the header, before anything is decoded; only three formats are
tried; Pillow's errors become ours.
"""

from __future__ import annotations

import struct
import threading
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from io import BytesIO
from typing import Any

from PIL import Image, ImageCms, ImageOps

from warmer.errors import NotAnImage, TooBig
from warmer.photo import Cut, Original, Rendering, Variant

MAX_PIXELS = 16_000_000
LARGE_PIXELS = 2_000_000  # above this, one decode at a time per process
INPUT_FORMATS = ("JPEG", "PNG", "WEBP")
PREVIEW_MAX_CHARACTERS = 300
PREVIEW_LADDER = ((16, 40), (16, 15), (12, 15), (8, 10))  # pixels, quality: the first that fits

# method 2: half the time of 4 for 3 to 5 % more bytes; AVIF at speed 9: two to three times the time of that WebP.
# Measured: docs/performance.md.
ENCODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "webp": ("WEBP", {"quality": 80, "method": 2}),
    "jpeg": ("JPEG", {"quality": 82, "optimize": True}),
    "avif": ("AVIF", {"quality": 65, "speed": 9}),
}

Decoded = Image.Image
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, TypeError, KeyError, IndexError, AttributeError, struct.error,
           zlib.error, OverflowError, MemoryError)  # fmt: skip  # what Pillow raises on broken input
_one_large_decode = threading.Lock()


def upright(image: Decoded) -> Decoded:
    """Turned as its EXIF orientation says."""
    try:
        return ImageOps.exif_transpose(image)
    except _BROKEN:
        return image  # EXIF that cannot be read is left out, the pixels stay


def srgb(image: Decoded) -> Decoded:
    """In sRGB, where the picture brings a colour profile that can be used."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return image
    target = "RGBA" if image.mode == "RGBA" else "RGB"
    try:
        converted = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode=target
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image  # a profile that lies about its picture is left out, the pixels stay
    return converted or image


def opaque(image: Decoded) -> Decoded:
    """In RGB, what shines through on white."""
    if image.mode.startswith("I"):  # 16 bits a channel, which convert() would clip
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(ground, image)
    return image.convert("RGB")


def square(image: Decoded) -> Decoded:
    """The middle square."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image if image.width == image.height else image.crop((left, top, left + side, top + side))


STEPS: tuple[Callable[[Decoded], Decoded], ...] = (upright, srgb, opaque, square)


def render(original: Original, batches: Sequence[Sequence[Cut]], *, with_preview: bool = True) -> Iterator[Rendering]:
    """The variants, batch by batch, and the inline preview with the last, from one decode.

    Raises TooBig over 16 megapixels, NotAnImage for what does not decode as JPEG, PNG or WebP.
    """
    image = _decode(original.data, max(cut.size for batch in batches for cut in batch))
    made: dict[int, Decoded] = {}
    for batch in batches:
        variants = []
        for cut in batch:
            if cut.size not in made:  # each from the smallest that is large enough: less to read, and as good
                larger = [size for size in made if size > cut.size]
                made[cut.size] = _resize(made[min(larger)] if larger else image, cut.size)
            variants.append(Variant(*cut, encode(made[cut.size], cut.format)))
        is_last = batch is batches[-1]
        preview = make_preview(made[min(made)]) if with_preview and is_last else ""
        yield Rendering(tuple(variants), preview, original.unique_id)


def encode(image: Decoded, fmt: str, **options: Any) -> bytes:
    """The picture as a file of that format, without metadata."""
    name, defaults = ENCODERS[fmt]
    out = BytesIO()
    image.save(out, name, **(defaults | options))
    return out.getvalue()


def make_preview(image: Decoded) -> str:
    """A data URI of at most 300 bytes, to show until the picture is there; empty if none fits."""
    for size, quality in PREVIEW_LADDER:
        body = encode(_resize(image, size), "webp", quality=quality, method=4)
        uri = f"data:image/webp;base64,{b64encode(body).decode()}"
        if len(uri) <= PREVIEW_MAX_CHARACTERS:
            return uri
    return ""


def _decode(data: bytes, largest: int) -> Decoded:
    try:
        with Image.open(BytesIO(data), formats=INPUT_FORMATS) as image:
            pixels = image.width * image.height
            if pixels > MAX_PIXELS:
                raise TooBig(f"{image.width} × {image.height} pixels")
            with _decoding(pixels):
                image.draft(image.mode, (largest, largest))  # JPEG: decode at 1/2, 1/4 or 1/8 where that suffices
                image.load()  # the first frame only
                return _apply_steps(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooBig("too many pixels") from None
    except _BROKEN as error:
        raise NotAnImage(f"not a picture we read ({type(error).__name__})") from None


def _apply_steps(image: Decoded) -> Decoded:
    for step in STEPS:
        image = step(image)
    image.info = {}  # or save() would write the profile and the comment back
    return image


def _decoding(pixels: int) -> AbstractContextManager[Any]:
    """One large decode at a time per process bounds its memory."""
    return _one_large_decode if pixels > LARGE_PIXELS else nullcontext()


def _resize(image: Decoded, size: int) -> Decoded:
    if image.size == (size, size):
        return image
    if image.size == (2 * size, 2 * size):
        return image.reduce(2)  # a tenth of the time of the filter below, and half a decibel below it at most
    return image.resize((size, size), Image.Resampling.LANCZOS, reducing_gap=2.0)
