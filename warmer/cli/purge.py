"""`avatar-warmer purge`"""

from __future__ import annotations

import click

from warmer.cli.common import as_json, end_when_acknowledged, opened_worker_context
from warmer.cli.purge_targets import list_subjects, purge_everything, purge_subjects
from warmer.keys import Subject


@click.command()
@click.argument("names", nargs=-1, metavar="[FILE_ID|ID]...")
@click.option("--all", "is_all", is_flag=True, help="Every picture of this bot.")
@click.option("--yes", is_flag=True, help="Do not ask before --all.")
@as_json
def purge(names: tuple[str, ...], is_all: bool, yes: bool, is_json: bool) -> None:
    """Drop stored pictures, so that they are fetched anew; partners stay. Put -- before negative ids.

    \b
    Examples:
      avatar-warmer purge 42
      avatar-warmer purge --all --yes
    """
    if is_all == bool(names):
        raise click.UsageError("name ids or file ids, or --all")
    parsed = {name: Subject.parse(name) for name in names}
    if wrong := [name for name, subject in parsed.items() if subject is None]:
        raise click.UsageError("neither id nor file id: " + ", ".join(wrong))
    with opened_worker_context() as context:
        if is_all and not yes:
            click.confirm("Drop every stored picture of this bot?", abort=True, err=True)
        subjects: list[str] = []
        for subject in filter(None, parsed.values()):
            subjects += list_subjects(context, subject.user_id) if subject.is_person else [subject]
        number = purge_everything(context) if is_all else purge_subjects(context, list(dict.fromkeys(subjects)))
        end_when_acknowledged(context, {"purged": number}, f"Purged: {number}.", is_json=is_json)
