"""The rows of a file, and the errors of malformed ones."""

from __future__ import annotations

import csv
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.thorough import bounded
from warmer.cli.rows import COLUMNS, Row, read_rows
from warmer.keys import FILE_ID, parse_user_id

FID = "AgACAgIAAxkBAAIB0001"


def test_without_a_header_the_columns_are_in_the_documented_order() -> None:
    assert read_rows([f"42,Ann,{FID}", "43,Bob"]) == ([Row(42, "Ann", FID), Row(43, "Bob", None)], [])


def test_a_header_defines_the_order_of_the_columns() -> None:
    assert read_rows(["\ufeffname, id", "Ann, 42"]) == ([Row(42, "Ann", None)], [])


def test_a_single_column_may_mix_ids_and_file_ids() -> None:
    assert read_rows(["42", "", FID, "-100"]) == ([Row(42, "", None), Row(None, "", FID), Row(-100, "", None)], [])


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("x", "id"),
        ("042,Ann", "id"),
        (",Ann", "id"),
        ("42,Ann,no", "photo_file_id"),
        (f"42,{'A' * 300}", "name"),
        ("42,A\x07", "name"),
        (f"42,Ann,{FID},more", "4 fields"),
        (",,,more", "photo_file_id"),
    ],
)
def test_a_malformed_row_is_named_with_its_line_and_field(line: str, field: str) -> None:
    _, wrong = read_rows(["id,name,photo_file_id", "42", line])
    assert [problem for problem in wrong if not problem.startswith("line 3: ")] == []
    assert any(field in problem for problem in wrong)


def test_a_row_of_empty_fields_is_skipped() -> None:
    assert read_rows(["id,name,photo_file_id", '"",,""', "42"]) == ([Row(42, "", None)], [])


def test_a_name_with_a_line_break_counts_as_two_lines() -> None:
    assert read_rows(StringIO('id,name\n42,"A\nB"\nx,C\n'))[1][-1].startswith("line 4: id")


ids = st.integers(-(2**52) + 1, 2**52 - 1)
names = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=40)
file_ids = st.from_regex(FILE_ID, fullmatch=True)


@bounded(20, 100)
@given(st.lists(st.builds(Row, ids, names, st.none() | file_ids)))
def test_rows_of_a_csv_writer_are_read_unchanged(rows: list[Row]) -> None:
    out = StringIO(newline="")
    writer = csv.writer(out)
    writer.writerows([COLUMNS, *rows])
    assert read_rows(StringIO(out.getvalue(), newline="")) == (rows, [])


@bounded(20, 100)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=60)))
def test_any_text_gives_valid_rows_or_named_errors(lines: list[str]) -> None:
    try:
        rows, wrong = read_rows(lines)
    except csv.Error:
        return  # not CSV, which the caller reports
    for row in rows if not wrong else ():
        assert row.user_id is None or parse_user_id(str(row.user_id)) == row.user_id
        assert row.file_id is None or FILE_ID.fullmatch(row.file_id)
        assert row.user_id is not None or (row.file_id and not row.name)
