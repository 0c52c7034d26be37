"""Bytes to the largest square, within bounded memory.

Bytes come from strangers. The limits are checked on the header, before anything is decoded, and Pillow only tries the
format that the header has.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

from PIL import Image, ImageChops, ImageFile

from warmer.errors import NotAnImage, TooBig
from warmer.images.headers import read_header
from warmer.images.memory import FairSemaphore
from warmer.images.steps import BAND_PIXELS, Target, apply_profile, flatten, resize_to_target, shrink, turn_upright
from warmer.photo import Header

MAX_PIXELS = 16_000_000
MAX_DECODE_BYTES = 104_000_000
LARGE_PIXELS = 2_000_000  # above this, one decode at a time per process

STEPS = (shrink, apply_profile, flatten, resize_to_target, turn_upright)

# Any number of threads together decode within these bytes.
_large_decode = FairSemaphore(MAX_DECODE_BYTES)  # taken whole, by one picture at a time
_small_decodes = FairSemaphore(18_000_000)

# What Pillow raises on broken input.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, AttributeError, struct.error, zlib.error,
           ArithmeticError, AssertionError, MemoryError, RecursionError)  # fmt: skip


def decode(data: bytes, side: int) -> Image.Image:
    """The picture as an upright RGB square of this side, in sRGB, without metadata.

    Raises TooBig over 16 megapixels or for a decoder that needs too much memory, NotAnImage for bytes that are no
    JPEG, PNG or WebP, and Postponed if other decodes hold the memory for too long.
    """
    header = read_header(data)
    needed_bytes = _estimate_bytes(header, side)
    if header.pixels > MAX_PIXELS or needed_bytes > _large_decode.size:
        raise TooBig(f"{header.width} × {header.height} pixels of {header.format}")
    is_large = header.pixels > LARGE_PIXELS or needed_bytes > _small_decodes.size
    semaphore, amount = (_large_decode, _large_decode.size) if is_large else (_small_decodes, needed_bytes)
    try:
        with semaphore.acquire(amount):
            return _apply_steps(_load(header, side), Target(side, header.orientation, header.is_gray))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooBig("too many pixels") from None
    except _BROKEN as error:
        raise NotAnImage(f"not a readable picture ({type(error).__name__})") from None


def _estimate_bytes(header: Header, side: int) -> int:
    """The memory for decoding, with the copies that the steps make of the shrunk picture."""
    scale = _choose_scale(header, side)
    pixels = header.pixels // scale**2
    steps_bytes = header.kept_bytes_per_pixel * pixels + 8 * min(pixels, (4 * side) ** 2)
    return header.buffer_bytes + max(header.bytes_per_pixel * pixels, steps_bytes)


def _choose_scale(header: Header, side: int) -> int:
    """A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size if that is still large enough."""
    spare = min(header.width, header.height) // side
    return next(scale for scale in (8, 4, 2, 1) if scale <= spare or scale == 1) if header.format == "JPEG" else 1


def _load(header: Header, side: int) -> Image.Image:
    """The first frame."""
    if header.bit_depth == 16 and header.color_key and not header.is_gray:
        return _load_deep_rgb(header)
    image = _open(header)
    image.draft(image.mode, (side, side))
    image.load()
    if header.color_key:
        image.info["transparency"] = _to_sample_of_mode(header, image.mode)
    return image


def _open(header: Header) -> ImageFile.ImageFile:
    image = Image.open(BytesIO(b"".join(header.parts)), formats=(header.format,))
    if image.size != (header.width, header.height):
        raise ValueError("two sizes in one header")
    return image


def _to_sample_of_mode(header: Header, mode: str) -> int | tuple[int, ...]:
    """The colour key in the depth to which Pillow has brought the samples."""
    if mode == "RGB":
        return header.color_key
    (key,) = header.color_key
    return key if mode.startswith("I") else key * 255 // ((1 << header.bit_depth) - 1)


def _load_deep_rgb(header: Header) -> Image.Image:
    """RGB of 16 bits a sample with a colour key, which only the full samples can be compared with.

    Pillow keeps 8 bits, so the picture is decoded twice: the lower bytes, then the upper ones.
    """
    alpha = Image.new("L", (header.width, header.height))
    for raw_mode, shift in (("RGB;16L", 0), ("RGB;16B", 8)):
        image = _open(header)
        image.tile = [image.tile[0]._replace(args=raw_mode)]
        image.load()
        _mark_differing(alpha, image, [key >> shift & 255 for key in header.color_key])
    image.putalpha(alpha)
    return image


def _mark_differing(alpha: Image.Image, image: Image.Image, color: list[int]) -> None:
    """Make the pixels opaque that have another colour. It works by bands, so that no copy is large."""
    table = [255 * (value != sample) for sample in color for value in range(256)]
    rows = max(1, BAND_PIXELS // image.width)
    for upper in range(0, image.height, rows):
        box = (0, upper, image.width, min(upper + rows, image.height))
        band = alpha.crop(box)
        for differing in image.crop(box).point(table).split():
            band = ImageChops.lighter(band, differing)
        alpha.paste(band, box)


def _apply_steps(image: Image.Image, target: Target) -> Image.Image:
    for step in STEPS:
        image = step(image, target)
    image.info = {}  # or save() would write the profile and the comment back
    return image
