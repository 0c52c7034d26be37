"""`avatar-warmer forget`"""

from __future__ import annotations

import click

from warmer.cli.common import as_json, count, end_when_acknowledged, opened_worker_context, parse_ids


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def forget(ids: tuple[str, ...], yes: bool, is_json: bool) -> None:
    """Forget everything about these partners. Put -- before negative ids.

    \b
    Examples:
      avatar-warmer forget 42
      avatar-warmer forget --yes -- -1001234567890
    """
    partner_ids = list(dict.fromkeys(parse_ids(ids)))
    with opened_worker_context() as context:
        if not yes:
            click.confirm(f"Forget everything about {count(len(partner_ids), 'partner')}?", abort=True, err=True)
        for partner_id in partner_ids:
            context.steps.forget.person(partner_id)
        end_when_acknowledged(context, {"forgotten": partner_ids}, f"Forgotten: {len(partner_ids)}.", is_json=is_json)
