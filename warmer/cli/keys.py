"""`avatar-warmer keys`"""

from __future__ import annotations

import click

from warmer.cli.common import as_json, echo_json
from warmer.sources import make_key

API_KEYS = 2  # the backend's, and one for operators and Prometheus: each can be withdrawn alone


@click.command()
@as_json
def keys(is_json: bool) -> None:
    """Print new keys, as the lines of an environment file. Each call prints others, and keeps none.

    URLs that an earlier URL_SIGNING_KEYS has signed end with it: do not overwrite a file that is in use.

    \b
    Example:
      (umask 077; avatar-warmer keys > avatar-warmer.env)
    """
    made = {
        "API_KEYS": ",".join(make_key("API_KEYS") for _ in range(API_KEYS)),
        "URL_SIGNING_KEYS": make_key("URL_SIGNING_KEYS"),
        "FLOWER_BASIC_AUTH": make_key("FLOWER_BASIC_AUTH"),
    }
    if is_json:
        echo_json(made)
        return
    for name, value in made.items():
        click.echo(f"{name}={value}")
