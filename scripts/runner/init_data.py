"""Prints a valid `Authorization: tma …` header, to try the user routes without Telegram.

    scripts/runner/init_data.py --user 42 [--name "Ann Lee"] [--age 3600]

The signature uses TELEGRAM_BOT_TOKEN from the environment, from `.env`, or from a running demo:

    curl -H "$(.venv/bin/python scripts/runner/init_data.py --user 42)" -X POST http://127.0.0.1:8000/api/partner/me
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from init_data_py import sign
from init_data_py.models import UnsignedInitData, User

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from warmer.errors import ConfigError
from warmer.keys import MAX_ID
from warmer.settings import load_settings

PROJECT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--user", type=int, required=True, help="the Telegram id to sign in as")
    parser.add_argument("--name", default="Test User", help="first and last name (default: Test User)")
    parser.add_argument("--age", type=int, default=0, help="seconds since the sign-in (default 0)")
    options = parser.parse_args()
    if not 0 < options.user < MAX_ID:
        parser.error("--user: must be a positive Telegram id")
    try:
        os.chdir(PROJECT)  # the folder of .env and DATA_DIR, as for scripts/run
        secret = load_settings().init_data_secret
    except ConfigError as error:
        print(f"init_data: {error} (is the service running?)", file=sys.stderr)
        return 1
    first, _, last = options.name.partition(" ")
    user = User(id=options.user, first_name=first, last_name=last or None)
    auth_date = int(time.time()) - options.age
    print(f"Authorization: tma {sign(UnsignedInitData(user=user), secret, auth_date=auth_date, token_hashed=True)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
