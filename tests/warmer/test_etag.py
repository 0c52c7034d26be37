"""The ETag of a stored picture."""

from __future__ import annotations

import pytest

from warmer.etag import HEADER_LENGTH, StoredVariant, pack


def test_a_packed_picture_keeps_its_bytes_and_its_header_alone_has_the_same_etag() -> None:
    packed = pack(b"bytes")
    whole, header = StoredVariant.unpack(packed), StoredVariant.unpack(packed[:HEADER_LENGTH])
    assert whole
    assert (whole.body, header) == (b"bytes", StoredVariant(whole.etag, b""))


def test_the_etag_is_a_hash_of_the_bytes_only() -> None:
    one, same, other = (StoredVariant.unpack(pack(body)) for body in (b"a" * 9, b"a" * 9, b"b" * 9))
    assert one
    assert other
    assert one == same
    assert one.etag != other.etag


@pytest.mark.parametrize("value", [b"", b"\x01short", b"\x02" + bytes(40)])
def test_empty_values_and_other_versions_unpack_to_none(value: bytes) -> None:
    assert StoredVariant.unpack(value) is None
