"""What is made first."""

from __future__ import annotations

import pytest

from warmer.flow.order import put_first
from warmer.photo import Cut

W320, W160, W80 = (Cut(size, "webp") for size in (320, 160, 80))
J160 = Cut(160, "jpeg")


@pytest.mark.parametrize(
    ("missing", "wanted", "batches"),
    [
        ([W320, W160, W80], {W80}, [[W80], [W320, W160]]),
        ([W320, W160, W80], {W80, W320}, [[W320, W80], [W160]]),
        ([W320, W160, W80, J160], {J160}, [[J160], [W320, W160, W80]]),
        ([W320, W160, W80], set(), [[W160], [W320, W80]]),
        ([W320, W160, W80], {J160}, [[W160], [W320, W80]]),
        ([W80], set(), [[W80]]),
        ([W320, W80], set(), [[W320], [W80]]),
        ([W160, W80], {W160, W80}, [[W160, W80]]),
    ],
)
def test_what_is_waited_for_is_a_batch_of_its_own(
    missing: list[Cut], wanted: set[Cut], batches: list[list[Cut]]
) -> None:
    assert put_first(missing, wanted) == batches
