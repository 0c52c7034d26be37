"""A start without a bot token: a fake Telegram and two dozen partners, on loopback only."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from faketelegram.users import demo_users
from runner.local_http import ask
from runner.terminal import StartFailed

TOKEN = "123456789:FAKE-made-up-for-the-demo"  # noqa: S105 - opens nothing
PROGRAM = Path(__file__).resolve().parents[1] / "faketelegram"
DEADLINE = 10.0  # seconds per partner; the server may still be starting


def environment(port: int) -> dict[str, str]:
    """The settings of a demo; its page signs visitors in, so it listens on loopback only."""
    return {
        "DEMO": "1",
        "HOST": "127.0.0.1",
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_API_URL": f"http://127.0.0.1:{port}",
        "TELEGRAM_RATE": "100",  # the fake has no limit, and a visitor opens the page at once
    }


def telegram_command(api_url: str) -> list[str]:
    """The command of the fake Telegram; its default users are the demo's."""
    port = urlsplit(api_url).port
    return [sys.executable, str(PROGRAM), "--host", "127.0.0.1", "--port", str(port), "--token", TOKEN]


def register_partners(page: str, api_key: str, is_stopping: Callable[[], bool]) -> None:
    """Register the demo's users at each start, also those that were renamed or deleted since.

    The order is random, but the same in every run. The last one is the newest, the first one signs in on the page.
    """
    people = demo_users()
    random.Random("warm").shuffle(people)  # noqa: S311 - an order, not a secret
    for person, _ in people:
        deadline = time.monotonic() + DEADLINE
        while not is_stopping():
            status, _ = ask(f"{page}api/partner/{person.id}", method="PUT", body={"name": person.name}, api_key=api_key)
            if status in (200, 201):
                break
            if time.monotonic() > deadline:
                raise StartFailed(f"web did not register the demo partner {person.id} (it answered {status})")
            time.sleep(0.2)
    _wait_until_warm(page, api_key, is_stopping)


def _wait_until_warm(page: str, api_key: str, is_stopping: Callable[[], bool]) -> None:
    """Wait until all pictures are ready, but not for long: a visitor opens the page as soon as its URL is printed."""
    deadline = time.monotonic() + DEADLINE
    while not is_stopping() and time.monotonic() < deadline:
        _, answer = ask(f"{page}api/partner/recent?limit=100", api_key=api_key)
        partners = answer.get("partners", []) if isinstance(answer, dict) else []
        if all(partner["photo_status"] != "warming" for partner in partners):
            break
        time.sleep(0.2)
