"""The ETag of a picture is made here: a hash of the bytes. Redis holds it in a header before them."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Self

HEADER_VERSION = b"\x01"
HEADER_LENGTH = 17  # the version byte, then 16 bytes of digest


def pack(body: bytes) -> bytes:
    """The Redis value of a picture: the header with the ETag, then the bytes, so that a 304 reads the header alone."""
    return HEADER_VERSION + hashlib.blake2b(body, digest_size=HEADER_LENGTH - 1).digest() + body


@dataclass(frozen=True, slots=True)
class StoredVariant:
    """A variant as read from Redis. `body` is empty if only the header was read."""

    etag: str  # strong (RFC 9110, 8.8.3), with its quotes
    body: bytes = field(repr=False)

    @classmethod
    def unpack(cls, value: bytes) -> Self | None:
        """The variant in a Redis value. None for an empty value or a header of another version."""
        if len(value) < HEADER_LENGTH or value[:1] != HEADER_VERSION:
            return None
        digest = urlsafe_b64encode(value[1:HEADER_LENGTH]).rstrip(b"=").decode()
        return cls(f'"{digest}"', value[HEADER_LENGTH:])
