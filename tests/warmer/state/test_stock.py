"""Which of the missing variants a worker makes now, and from what."""

from __future__ import annotations

import pytest

from warmer.photo import VariantSpec
from warmer.state.stock import Stock

LARGE, *REST = MISSING = [VariantSpec(320, "webp"), VariantSpec(160, "jpeg"), VariantSpec(80, "jpeg")]


@pytest.mark.parametrize(
    ("source", "wanted", "made", "is_derived"),
    [
        (320, [], MISSING, True),
        (160, [], MISSING, False),
        (160, ["160.jpeg"], REST, True),
        (160, ["80.jpeg", "160.jpeg"], REST, True),
        (160, ["160.jpeg", "320.webp"], MISSING, False),
        (80, ["160.jpeg"], MISSING, False),
        (None, ["160.jpeg"], MISSING, False),
        (160, ["640.webp", "oddities"], REST, True),  # of a release with other settings
        (None, ["640.webp", "oddities"], MISSING, False),
    ],
)
def test_what_clients_do_not_want_is_left_if_no_stored_variant_is_large_enough(
    source: int | None, wanted: list[str], made: list[VariantSpec], is_derived: bool
) -> None:
    stored = None if source is None else VariantSpec(source, "jpeg")
    expected = Stock(made, stored if is_derived else None, None, is_partial=made != MISSING)
    assert Stock(MISSING, stored, None).narrow(wanted) == expected


def test_where_nothing_is_missing_nothing_is_made() -> None:
    assert Stock([], None, None).narrow(["160.jpeg"]) == Stock([], None, None)
