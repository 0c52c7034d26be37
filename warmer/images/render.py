"""Bytes to variants: squares in every size and format, upright, sRGB, without metadata, from one decode.

Bytes come from strangers. The caps are checked on the header, before anything is decoded; only three formats are
tried; Pillow's errors become ours.
"""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import Any

from PIL import Image

from warmer.errors import NotAnImage, TooBig
from warmer.images.headers import read_header
from warmer.images.memory import ByteSemaphore, return_freed_memory
from warmer.images.steps import Aim, Decoded, exact, opaque, reduced, resize, srgb, upright
from warmer.photo import Header, Rendering, SourceImage, Variant, VariantSpec

MAX_PIXELS = 16_000_000
LARGE_PIXELS = 2_000_000  # above this, one decode at a time per process
TURN_SECONDS = 3.0  # after a task's 20 s, and before a decode's 5 s, it ends within the 30 s of a claim's lease
PREVIEW_MAX_CHARACTERS = 300
PREVIEW_LADDER = ((16, 40), (16, 15), (12, 15), (8, 10))  # pixels, quality: the first that fits

# method 2: half the time of 4 for 3 to 5 % more bytes; AVIF at speed 9: two to three times the time of that WebP.
# Measured: docs/performance.md.
ENCODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "webp": ("WEBP", {"quality": 80, "method": 2}),
    "jpeg": ("JPEG", {"quality": 82, "optimize": True}),
    "avif": ("AVIF", {"quality": 65, "speed": 9, "max_threads": 1}),
}
ENCODER_BYTES = {"webp": 10, "jpeg": 5, "avif": 42}  # per pixel, measured

# What Pillow raises on broken input.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, AttributeError, struct.error, zlib.error,
           ArithmeticError, AssertionError, MemoryError, RecursionError)  # fmt: skip
# However many threads render, they use no more memory than these rooms, in bytes, and their largest squares.
_room_for_a_large_one = ByteSemaphore(104_000_000)  # what needs more is refused
_room_for_small_ones = ByteSemaphore(18_000_000)
_room_for_encoders = ByteSemaphore(8_000_000)

STEPS: tuple[Callable[[Decoded, Aim], Decoded], ...] = (reduced, srgb, opaque, exact, upright)


def render(
    source: SourceImage, batches: Sequence[Sequence[VariantSpec]], *, with_preview: bool = True
) -> Iterator[Rendering]:
    """The variants, batch by batch, and the inline preview with the last, from one decode.

    Raises TooBig over 16 megapixels, or where its decoder would need more memory than there is room for; NotAnImage for
    what does not decode as JPEG, PNG or WebP; Postponed where its turn does not come in time.
    """
    return_freed_memory()
    image = _decode(source.data, max(spec.size for batch in batches for spec in batch))
    made = {image.width: image}
    for batch in batches:
        variants = []
        for spec in batch:
            if spec.size not in made:  # each from the smallest that is large enough: less to read, and as good
                made[spec.size] = resize(made[min(size for size in made if size > spec.size)], spec.size)
            variants.append(Variant(*spec, encode(made[spec.size], spec.format)))
        is_last = batch is batches[-1]
        preview = make_preview(made[min(made)]) if with_preview and is_last else ""
        yield Rendering(tuple(variants), preview, source.unique_id)


def encode(image: Decoded, fmt: str, **options: Any) -> bytes:
    """The picture as a file of that format, without metadata."""
    name, defaults = ENCODERS[fmt]
    out = BytesIO()
    needed_bytes = min(ENCODER_BYTES[fmt] * image.width * image.height, _room_for_encoders.size)
    with _room_for_encoders.take(needed_bytes, TURN_SECONDS):
        image.save(out, name, **(defaults | options))
    return out.getvalue()


def make_preview(image: Decoded) -> str:
    """A data URI of at most 300 bytes, to show until the picture is there; empty if none fits."""
    for size, quality in PREVIEW_LADDER:
        body = encode(resize(image, size), "webp", quality=quality, method=4)
        uri = f"data:image/webp;base64,{b64encode(body).decode()}"
        if len(uri) <= PREVIEW_MAX_CHARACTERS:
            return uri
    return ""


def _decode(data: bytes, side: int) -> Decoded:
    header = read_header(data)
    needed_bytes = _estimate_bytes(header, side)
    if header.pixels > MAX_PIXELS or needed_bytes > _room_for_a_large_one.size:
        raise TooBig(f"{header.width} × {header.height} pixels of {header.format}")
    is_large = header.pixels > LARGE_PIXELS or needed_bytes > _room_for_small_ones.size
    if is_large:
        room, amount = _room_for_a_large_one, _room_for_a_large_one.size  # all of it: one at a time
    else:
        room, amount = _room_for_small_ones, needed_bytes
    try:
        with room.take(amount, TURN_SECONDS):
            return _apply_steps(_load(header, side), Aim(side, header.orientation))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooBig("too many pixels") from None
    except _BROKEN as error:
        raise NotAnImage(f"not a picture we read ({type(error).__name__})") from None


def _estimate_bytes(header: Header, side: int) -> int:
    """The memory that decoding takes, with the copies that the steps make of what they reduced."""
    scale = _choose_scale(header, side)
    pixels = header.pixels // scale**2
    return header.buffer_bytes + header.bytes_per_pixel * pixels + 8 * min(pixels, (4 * side) ** 2)


def _choose_scale(header: Header, side: int) -> int:
    """A JPEG can be decoded at 1/2, 1/4 or 1/8, where that suffices."""
    spare = min(header.width, header.height) // side
    return next(scale for scale in (8, 4, 2, 1) if scale <= spare or scale == 1) if header.format == "JPEG" else 1


def _load(header: Header, side: int) -> Decoded:
    image = Image.open(BytesIO(b"".join(header.parts)), formats=(header.format,))
    if image.size != (header.width, header.height):
        raise ValueError("two sizes in one header")
    image.draft(image.mode, (side, side))
    image.load()  # the first frame only
    return image


def _apply_steps(image: Decoded, aim: Aim) -> Decoded:
    for step in STEPS:
        image = step(image, aim)
    image.info = {}  # or save() would write the profile and the comment back
    return image
