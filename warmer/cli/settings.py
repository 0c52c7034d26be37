"""`avatar-warmer settings`"""

from __future__ import annotations

import click

from warmer.cli.common import as_json, echo_json
from warmer.sources import PROJECT


@click.command()
@as_json
def settings(is_json: bool) -> None:
    """Print every setting with its default and its meaning, as the lines of a .env file.

    \b
    Example:
      avatar-warmer settings > .env
    """
    try:
        text = (PROJECT / ".env.example").read_text("utf-8")
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}: use a clone or the wheel") from None
    if is_json:
        echo_json({"settings": text})
    else:
        click.echo(text, nl=False)
