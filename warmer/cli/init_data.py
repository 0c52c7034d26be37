"""`avatar-warmer init-data`"""

from __future__ import annotations

import time

import click
from init_data_py import sign
from init_data_py.models import UnsignedInitData, User

from warmer.cli.common import as_json, echo_json, load_service_settings
from warmer.keys import MAX_ID


@click.command("init-data")
@click.option("--user", type=click.IntRange(1, MAX_ID - 1), required=True, help="The Telegram id to sign in as.")
@click.option("--name", default="Test User", show_default=True, help="First and last name.")
@click.option("--age", default=0, show_default=True, help="Seconds since the sign-in.")
@as_json
def init_data(user: int, name: str, age: int, is_json: bool) -> None:
    """Print a valid `Authorization: tma …` header, to try the routes of users without Telegram.

    The signature uses the bot token of the service.

    \b
    Example:
      curl -H "$(avatar-warmer init-data --user 42)" -X POST http://127.0.0.1:8000/api/partner/me
    """
    secret = load_service_settings().init_data_secret
    first, _, last = name.partition(" ")
    data = UnsignedInitData(user=User(id=user, first_name=first, last_name=last or None))
    signed = sign(data, secret, auth_date=int(time.time()) - age, token_hashed=True)
    if is_json:
        echo_json({"Authorization": f"tma {signed}"})
    else:
        click.echo(f"Authorization: tma {signed}")
