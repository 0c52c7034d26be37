"""`avatar-warmer forget`"""

from __future__ import annotations

import click

from warmer.cli.common import as_json, echo_json, opened_workshop, parse_ids
from warmer.echo import wait_until_heard


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
    if not yes:
        click.confirm(f"Forget everything about {len(partner_ids)} partners?", abort=True, err=True)
    with opened_workshop() as shop:
        for partner_id in partner_ids:
            shop.desk.forget.partner(partner_id)
        is_heard = wait_until_heard(shop.redis, shop.keys)
    if is_json:
        echo_json({"forgotten": partner_ids, "heard": is_heard})
    elif is_heard:
        click.echo(f"Forgotten: {len(partner_ids)}.")
    if not is_heard:
        raise click.ClickException("forgotten, but a web process may still show it: repeat the command")
