"""A start without a bot token: a fake Telegram and two dozen partners, on loopback only.

The partners are made up, and so is the age of their places in the list. A place still comes from Redis' clock: it is
the instant of the registration, moved back. A start changes no place that was there before.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis.exceptions import RedisError

from faketelegram.accounts import Account
from faketelegram.users import demo_users
from runner.local_http import ask
from runner.terminal import StartFailed
from warmer.keys import Keys
from warmer.redis_client.clients import connect_worker
from warmer.settings import Settings
from warmer.state.person import Person, Record
from warmer.state.records import Records

TOKEN = "123456789:FAKE-made-up-for-the-demo"  # noqa: S105 - opens nothing
PROGRAM = Path(__file__).resolve().parents[1] / "faketelegram"
DEADLINE = 60.0  # seconds per partner; the server may still be starting
WARM_SECONDS = 10.0  # for all pictures; the page shows the others as they come
CALL_MS, CONNECTION_MS = 50, 100  # as from a server in the same part of the world; the page names them
NEWEST_SECONDS, GROWTH = 240, 1.4  # the newest joined so long ago; the age of the next is so many times that: six days


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
    command = [sys.executable, str(PROGRAM), "--host", "127.0.0.1", "--port", str(port), "--token", TOKEN]
    return [*command, "--latency-ms", str(CALL_MS), "--connect-latency-ms", str(CONNECTION_MS)]


def register_partners(page: str, settings: Settings, is_stopping: Callable[[], bool]) -> None:
    """Register the demo's users at each start, also those that were renamed or deleted since.

    The order is random, but the same in every run. The last one is the newest, the first one signs in on the page.
    Raises StartFailed.
    """
    if is_stopping():  # Redis may not be up yet
        return
    try:
        _register_all(page, settings, is_stopping)
    except RedisError as error:
        if not is_stopping():
            raise StartFailed(f"Redis failed while the demo registered its partners ({type(error).__name__})") from None


def _register_all(page: str, settings: Settings, is_stopping: Callable[[], bool]) -> None:
    people, api_key = demo_users(), settings.api_keys[0].get_secret_value()
    random.Random("warm").shuffle(people)  # noqa: S311 - an order, not a secret
    with connect_worker(settings, connections=1) as redis:
        records = Records(redis, Keys(settings.bot_id), settings.photo_ttl)
        seconds, micros = redis.time()
        for place, (person, _) in enumerate(people, 1):
            _register(page, api_key, person, is_stopping)
            age = NEWEST_SECONDS * GROWTH ** (len(people) - place)
            move_back(records, person.id, age, since_us=seconds * 1_000_000 + micros)
    _wait_until_warm(page, api_key, is_stopping)


def move_back(records: Records, person_id: int, seconds: float, since_us: int = 0) -> None:
    """Let this person have joined so many seconds before the registration.

    An id that has no record, or joined before `since_us`, is left out.
    """
    micros = int(seconds * 1_000_000)

    def change(record: Record, _now: tuple[int, int]) -> Record | None:
        joined_us = record.get("joined_us")
        return None if joined_us is None or joined_us < since_us else record | {"joined_us": joined_us - micros}

    def write(pipe: Any, record: Record) -> None:
        pipe.zadd(records.keys.recent, {str(person_id): record["joined_us"]})

    records.update(Person(person_id), change, write)


def _register(page: str, api_key: str, person: Account, is_stopping: Callable[[], bool]) -> None:
    """Register, again while the service refuses it, unless the start is cancelled. Raises StartFailed."""
    deadline = time.monotonic() + DEADLINE
    while not is_stopping():
        status, _ = ask(f"{page}api/partner/{person.id}", method="PUT", body={"name": person.name}, api_key=api_key)
        if status in (200, 201):
            return
        if time.monotonic() > deadline:
            raise StartFailed(f"web did not register the demo partner {person.id} (it answered {status})")
        time.sleep(0.2)


def _wait_until_warm(page: str, api_key: str, is_stopping: Callable[[], bool]) -> None:
    """Wait until all pictures are ready, but not for long: a visitor opens the page as soon as its URL is printed."""
    deadline = time.monotonic() + WARM_SECONDS
    while not is_stopping() and time.monotonic() < deadline:
        _, answer = ask(f"{page}api/partner/recent?limit=100", api_key=api_key)
        partners = answer.get("partners", []) if isinstance(answer, dict) else []
        if all(partner["photo_status"] != "warming" for partner in partners):
            break
        time.sleep(0.2)
