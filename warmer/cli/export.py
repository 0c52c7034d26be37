"""`avatar-warmer export`"""

from __future__ import annotations

import csv
import sys
from itertools import islice

import click

from warmer.cli.common import as_json, echo_json, opened_worker_context
from warmer.cli.rows import COLUMNS, Row
from warmer.state.person import Person
from warmer.wiring import WorkerContext

BATCH = 500  # records read in one round trip


@click.command()
@as_json
def export(is_json: bool) -> None:
    """Print every partner as CSV, in the order of the list, oldest first: what `warm --from-file` takes.

    \b
    Example:
      avatar-warmer export > partners.csv
    """
    with opened_worker_context() as context:
        rows = [to_row(partner) for partner in list_partners(context)]
    if is_json:
        echo_json({"partners": [dict(zip(COLUMNS, row, strict=True)) for row in rows]})
        return
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(rows)


def list_partners(context: WorkerContext) -> list[Person]:
    """All registered people by first registration, also those beyond the cap of the list."""
    start = context.keys.person(0).removesuffix("0")
    names = context.redis.scan_iter(f"{start}*", count=BATCH)
    found: dict[int, Person] = {}  # a scan may name one twice
    while batch := [int(name.decode().removeprefix(start)) for name in islice(names, BATCH)]:
        found |= {person.id: person for person in context.people.get_many(batch) if person.is_registered}
    return sorted(found.values(), key=lambda person: person.joined_us or 0)


def to_row(person: Person) -> Row:
    """The row that registers the person again. A picture found in the profile is left out: a look-up finds it again."""
    return Row(person.id, person.name, person.photo_file_id if person.is_pinned else None)
