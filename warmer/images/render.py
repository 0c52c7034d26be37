"""Bytes to variants: squares in every size and format, upright, sRGB, without metadata, from one decode."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

from PIL import Image

from warmer.formats import FORMATS
from warmer.images.decode import decode
from warmer.images.memory import FairSemaphore, return_freed_memory
from warmer.images.steps import resize
from warmer.photo import Rendering, SourceImage, Variant, VariantSpec

PREVIEW_MAX_CHARACTERS = 300
PREVIEW_LADDER = ((16, 40), (16, 15), (12, 15), (8, 10))  # pixels, quality: the first that fits

_encodes = FairSemaphore(8_000_000)  # any number of threads together encode within these bytes


def render(
    source: SourceImage, batches: Sequence[Sequence[VariantSpec]], *, with_preview: bool = True
) -> Iterator[Rendering]:
    """The variants, batch by batch, and the inline preview with the last batch, from one decode.

    Raises TooBig, NotAnImage or Postponed, as `decode` does.
    """
    return_freed_memory()
    image = decode(source.data, max(spec.size for batch in batches for spec in batch))
    made = {image.width: image}
    for batch in batches:
        variants = []
        for spec in batch:
            if spec.size not in made:  # each from the next larger size: less to read, and as good
                made[spec.size] = resize(made[min(size for size in made if size > spec.size)], spec.size)
            variants.append(Variant(*spec, encode(made[spec.size], spec.format)))
        is_last = batch is batches[-1]
        preview = make_preview(made[min(made)]) if with_preview and is_last else ""
        yield Rendering(tuple(variants), preview, source.unique_id, source.ttl)


def encode(image: Image.Image, fmt: str, **options: Any) -> bytes:
    """Returns the picture as a file without metadata. Raises Postponed if other encodes hold the memory."""
    known, out = FORMATS[fmt], BytesIO()
    needed_bytes = min(known.encoding_bytes * image.width * image.height, _encodes.size)
    with _encodes.acquire(needed_bytes):
        image.save(out, fmt, **(known.options | options))
    return out.getvalue()


def make_preview(image: Image.Image) -> str:
    """Returns a data URI of at most 300 characters to show while the picture loads. Returns "" if none fits."""
    for size, quality in PREVIEW_LADDER:
        body = encode(resize(image, size), "webp", quality=quality, method=4)
        uri = f"data:image/webp;base64,{b64encode(body).decode()}"
        if len(uri) <= PREVIEW_MAX_CHARACTERS:
            return uri
    return ""
