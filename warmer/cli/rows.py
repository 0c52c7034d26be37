"""Lists of people and pictures as a backend keeps them: lines of CSV, or one bare column of ids and file ids."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import NamedTuple

from warmer.keys import FILE_ID, Subject, parse_user_id
from warmer.names import NAME_MAX, has_controls

COLUMNS = ("id", "name", "photo_file_id")


class Row(NamedTuple):
    """A person or a picture to warm; with a name, a person to register."""

    user_id: int | None
    name: str
    file_id: str | None

    @property
    def subject(self) -> Subject:
        """The picture, or the person if the row names no picture."""
        return Subject(self.file_id) if self.file_id else Subject.of_person(self.user_id or 0)


def read_rows(lines: Iterable[str]) -> tuple[list[Row], list[str]]:
    """The rows, and the errors: one sentence per wrong field, with the number of its line."""
    reader, rows, wrong, columns = csv.reader(lines), [], [], None
    for cells in reader:
        cells = [cell.strip().removeprefix("\ufeff") for cell in cells]
        if not any(cells):
            continue
        if columns is None:
            columns = tuple(cells) if set(cells) <= set(COLUMNS) else COLUMNS if len(cells) > 1 else ()
            if columns == tuple(cells):
                continue
        row, problems = _read_row(cells, columns)
        wrong += [f"line {reader.line_num}: {problem}" for problem in problems]
        rows.append(row)
    return rows, wrong


def _read_row(cells: list[str], columns: tuple[str, ...]) -> tuple[Row, list[str]]:
    if not columns:
        is_id = parse_user_id(cells[0]) is not None
        columns = ("id",) if is_id else ("photo_file_id",)
    fields = dict(zip(columns, cells, strict=False))
    given_id, name, file_id = (fields.get(column, "") for column in COLUMNS)
    user_id, problems = parse_user_id(given_id), []
    if len(cells) > len(columns):
        problems.append(f"{len(cells)} fields where {len(columns)} are meant")
    if given_id and user_id is None:
        problems.append(f"id: {given_id!r} is no id")
    if file_id and not FILE_ID.fullmatch(file_id):
        problems.append(f"photo_file_id: {file_id[:40]!r} is neither an id nor a file id")
    if len(name) > NAME_MAX or has_controls(name):
        problems.append(
            f"name: longer than {NAME_MAX} characters, or with control characters, of lines and directions too"
        )
    if name and not given_id:
        problems.append("id: missing, and a name needs one")
    if not given_id and not file_id:
        problems.append("id, photo_file_id: both missing")
    return Row(user_id, name, file_id or None), problems
