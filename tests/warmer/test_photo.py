"""The values that are passed between the steps."""

from __future__ import annotations

import pytest

from warmer.photo import FilePath, Unavailable, VariantSpec, prioritize_variants, version_of


@pytest.mark.parametrize(
    ("cause", "is_absence"), [("none", True), ("forgotten", True), ("too-big", False), ("crashed", False)]
)
def test_absence_is_not_a_failure(cause: str, is_absence: bool) -> None:
    assert Unavailable(cause).is_absence is is_absence


def test_a_version_is_short_and_differs_between_pictures() -> None:
    assert version_of("AQADone") == version_of("AQADone") != version_of("AQADtwo")
    assert len(version_of("AQADone")) == 12


def test_the_repr_of_a_path_hides_it() -> None:
    assert "photos/" not in repr(FilePath("photos/file_1.jpg", "AQAD"))


W320, W160, W80 = (VariantSpec(size, "webp") for size in (320, 160, 80))
J160 = VariantSpec(160, "jpeg")


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
def test_wanted_variants_form_the_first_batch(
    missing: list[VariantSpec], wanted: set[VariantSpec], batches: list[list[VariantSpec]]
) -> None:
    assert prioritize_variants(missing, wanted) == batches
