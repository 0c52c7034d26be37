"""Prints a valid `Authorization: tma …` header, to try the user routes without Telegram.

The signature uses TELEGRAM_BOT_TOKEN from the environment, from `.env`, or from a running demo:

\b
    curl -H "$(.venv/bin/python scripts/runner/init_data.py --user 42)" -X POST http://127.0.0.1:8000/api/partner/me
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import click
from init_data_py import sign
from init_data_py.models import UnsignedInitData, User

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from warmer.errors import ConfigError
from warmer.keys import MAX_ID
from warmer.settings import load_settings
from warmer.sources import IS_CLONE, PROJECT


@click.command(help=__doc__)
@click.option("--user", type=click.IntRange(1, MAX_ID - 1), required=True, help="The Telegram id to sign in as.")
@click.option("--name", default="Test User", show_default=True, help="First and last name.")
@click.option("--age", default=0, show_default=True, help="Seconds since the sign-in.")
def main(user: int, name: str, age: int) -> None:
    if IS_CLONE:
        os.chdir(PROJECT)  # the folder of .env and DATA_DIR, as for scripts/run
    try:
        secret = load_settings().init_data_secret
    except ConfigError as error:
        raise click.ClickException(f"{error} (is the service running?)") from None
    first, _, last = name.partition(" ")
    data = UnsignedInitData(user=User(id=user, first_name=first, last_name=last or None))
    signed = sign(data, secret, auth_date=int(time.time()) - age, token_hashed=True)
    click.echo(f"Authorization: tma {signed}")


if __name__ == "__main__":
    main()
