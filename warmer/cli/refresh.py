"""`avatar-warmer refresh`"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

import click

from warmer.cli.bulk import BulkWarming
from warmer.cli.common import as_json
from warmer.cli.rows import Row
from warmer.cli.warm import read_given, run_bulk
from warmer.keys import Subject


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID|-]...")
@click.option("--from-file", "file", type=click.File(encoding="utf-8"), help="CSV, as for warm; - is stdin.")
@click.option("--no-wait", is_flag=True, help="Ask, and end.")
@as_json
def refresh(ids: tuple[str, ...], file: TextIO | None, no_wait: bool, is_json: bool) -> None:
    """Look profiles up again now, each at most once a minute. Put -- before negative ids.

    \b
    Examples:
      avatar-warmer refresh 42 43
      avatar-warmer refresh -- -1001234567890
      avatar-warmer refresh --from-file users.csv
    """
    rows = read_given(ids, file, what="ids")
    if wrong := [f"{row.file_id!r} is no id" for row in rows if row.user_id is None]:
        raise click.UsageError("nothing was done: " + "; ".join(wrong))
    run_bulk(BulkRefreshing, rows, waits=not no_wait, is_json=is_json)


class BulkRefreshing(BulkWarming):
    """Has the profiles of the rows looked up; a row is settled when its newest picture is shown, or none is."""

    def _publish(self, rows: Sequence[Row]) -> list[Subject]:
        ids = [row.user_id for row in rows if row.user_id is not None]
        people = self.context.people.get_many(list(dict.fromkeys(ids)))
        profiles = self.context.steps.refreshes.request(people)
        shown = [person.subject for person in people]
        self.context.publisher.publish_all(list(dict.fromkeys([*profiles, *self._list_cold(shown)])), "warm")
        return [Subject.of_person(user_id) for user_id in ids]

    def _count_settled(self, subjects: Sequence[Subject]) -> list[Subject]:
        left = self.context.steps.refreshes.list_wanted(subjects)
        people = self.context.people.get_many([subject.user_id for subject in subjects])
        left |= {Subject.of_person(person.id) for person in people if person.next_file_id}
        looked_up = super()._count_settled([subject for subject in subjects if subject not in left])
        return [subject for subject in subjects if subject in left] + looked_up
