"""What the benchmark makes of its rounds."""

from __future__ import annotations

import pytest

from benches.book import Book, percentile
from benches.rows import Measurement


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (percentile(values, 50), percentile(values, 99), percentile([7.0], 99)) == (50.0, 99.0, 7.0)


def test_rounds_become_a_median_with_its_range() -> None:
    book = Book()
    for rate in (30.0, 10.0, 20.0):
        book.note("cold", "somebody", {"photos/s": rate})
    assert book.list_measurements() == [Measurement("cold", "somebody", "photos/s", 20.0, 10.0, 30.0)]


def test_what_was_not_measured_is_no_figure() -> None:
    book = Book()
    book.note("cold", "somebody", {"photos/s": 1.0})
    assert not book.has("cold", "somebody else")
    with pytest.raises(KeyError):
        book.median("cold", "somebody", "p50 ms")
