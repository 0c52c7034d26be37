"""Which format a client gets (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence

from werkzeug.datastructures import MIMEAccept

from warmer.photo import MIME_TYPES

ANY_PICTURE = {"*/*", "image/*"}


def rank_formats(accept: MIMEAccept, formats: Sequence[str]) -> list[str]:
    """The formats of the highest q, in our order; of these a stored one is sent first.

    No Accept, `*/*` and `image/*` get the first format, and so does a client that accepts none of ours: never 406.
    """
    if all(mime in ANY_PICTURE for mime, _ in accept):
        return list(formats[:1])
    qualities = {fmt: accept.quality(MIME_TYPES[fmt]) for fmt in formats}
    best = max(qualities.values())
    return [fmt for fmt in formats if qualities[fmt] == best] if best > 0 else list(formats[:1])
