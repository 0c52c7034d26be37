"""The example bot as its own process, polling a fake Telegram beside the running service."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from faketelegram import FakeTelegram
from faketelegram.accounts import Kind
from runner.ports import free_loopback_port
from tests.conftest import next_id, wait_until
from tests.support.running import ROOT, Service
from tests.support.servers import HttpStub, Pieces, reply

BOT = ROOT / "examples" / "telegram-bot" / "bot.py"


@pytest.fixture
def chats() -> Iterator[FakeTelegram]:
    """Its own fake Telegram, so that no other test adds to its calls."""
    with FakeTelegram() as fake:
        yield fake


@contextmanager
def polling(chats: FakeTelegram, avatars_url: str, api_key: str, log: Path) -> Iterator[None]:
    said = {"TELEGRAM_BOT_TOKEN": chats.token, "TELEGRAM_API_URL": chats.url}
    # The bot may use a proxy for Telegram, but not for the service.
    said |= {"HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": chats.url}
    environment = os.environ | said | {"AVATARS_URL": avatars_url, "AVATAR_API_KEY": api_key}
    with log.open("w") as out, subprocess.Popen([sys.executable, BOT], env=environment, stdout=out, stderr=out) as it:
        try:
            yield
            assert it.poll() is None, log.read_text()
        finally:
            it.terminate()


def list_answers(chats: FakeTelegram) -> list[str]:
    return [params["text"] for _, method, params in chats.log if method == "sendMessage"]


class BusyService(HttpStub):
    """Answers the first `times` requests with 503 and Retry-After: 0, then 204. `asked` lists the requests.

    With `first`, a DELETE is answered only after that request has arrived.
    """

    def __init__(self, times: int, first: str = "") -> None:
        self.asked: list[str] = []
        self._times, self._first = times, first
        super().__init__()

    def respond(self, line: str, _body: bytes) -> Pieces:
        self.asked.append(line)
        if self._first and line.startswith("DELETE"):
            wait_until(lambda: self._first in self.asked)
        return reply(b"", "Retry-After: 0", status=503 if len(self.asked) <= self._times else 204, has_length=False)


def test_a_user_who_writes_is_registered_and_can_be_forgotten(
    service: Service, chats: FakeTelegram, tmp_path: Path
) -> None:
    ann, log = next_id(), tmp_path / "bot.log"
    chats.world.add_user(ann, "Ann", last_name="Lee")
    chats.write(ann, "hello")
    with polling(chats, service.url, service.api_key, log):
        wait_until(lambda: service.ask("GET", f"/api/partner/{ann}").status_code == 200)
        assert service.ask("GET", f"/api/partner/{ann}").json()["name"] == "Ann Lee"
        chats.write(ann, "/forget")
        (answer,) = wait_until(lambda: list_answers(chats))
        assert "forgotten" in answer
        assert service.ask("GET", f"/api/partner/{ann}").status_code == 404
    assert "Application started" in log.read_text()  # at INFO, where httpx would log URLs
    assert chats.token not in log.read_text()


def test_a_group_that_changes_its_picture_shows_the_new_one(
    service: Service, chats: FakeTelegram, tmp_path: Path
) -> None:
    assert service.telegram
    group, world = -next_id(), service.telegram.world
    world.add_chat(group, "Us")
    chats.world.add_chat(group, "Us")

    def resolve() -> dict[str, Any]:
        answer = service.ask("POST", "/api/photos/resolve", json={"ids": [group]})
        return dict(answer.json()["photos"][str(group)])

    wait_until(lambda: resolve()["status"] == "ready")
    before = resolve()["photo_version"]
    with polling(chats, service.url, service.api_key, tmp_path / "bot.log"):
        world.change_photo(group)
        chats.announce_photo(group)
        wait_until(lambda: resolve()["photo_version"] not in (before, None))
    assert resolve()["status"] == "ready"


@pytest.mark.parametrize("kind", ["supergroup", "channel"])
def test_the_bot_refreshes_a_chat_for_a_new_and_for_a_deleted_picture(
    chats: FakeTelegram, tmp_path: Path, kind: Kind
) -> None:
    chats.world.add_chat(-42, "Us", kind=kind)
    chats.announce_photo(-42)
    with BusyService(1) as busy, polling(chats, busy.url, "any", tmp_path / "bot.log"):
        wait_until(lambda: len(busy.asked) == 2)  # the first was refused
        chats.world.hide_photo(-42)
        chats.announce_photo(-42)
        wait_until(lambda: len(busy.asked) == 3)
    assert set(busy.asked) == {"POST /api/photos/refresh"}


def test_the_bot_retries_a_busy_service_in_the_order_of_the_messages(chats: FakeTelegram, tmp_path: Path) -> None:
    chats.world.add_user(42, "Ann")
    chats.write(42, "hello")
    chats.write(42, "/forget")
    with BusyService(2) as busy, polling(chats, busy.url, "any", tmp_path / "bot.log"):
        wait_until(lambda: list_answers(chats))
    assert busy.asked == ["PUT /api/partner/42"] * 3 + ["DELETE /api/partner/42"]


def test_the_bot_gives_up_a_busy_service_and_tells_the_user(chats: FakeTelegram, tmp_path: Path) -> None:
    chats.world.add_user(42, "Ann")
    chats.write(42, "/forget")
    with BusyService(99) as busy, polling(chats, busy.url, "any", tmp_path / "bot.log"):
        wait_until(lambda: list_answers(chats))
    assert busy.asked == ["DELETE /api/partner/42"] * 3
    assert list_answers(chats)[0].startswith("That did not work just now.")


def test_a_waiting_request_delays_no_other_user(chats: FakeTelegram, tmp_path: Path) -> None:
    for user, text in ((42, "/forget"), (43, "hello")):
        chats.world.add_user(user, "Ann")
        chats.write(user, text)
    with BusyService(0, "PUT /api/partner/43") as busy, polling(chats, busy.url, "any", tmp_path / "bot.log"):
        wait_until(lambda: list_answers(chats))
    assert sorted(busy.asked) == ["DELETE /api/partner/42", "PUT /api/partner/43"]
    assert "forgotten" in list_answers(chats)[0], "the bot gave up, since another user's request was delayed"


def test_the_bot_tells_the_user_that_the_service_is_away(chats: FakeTelegram, tmp_path: Path) -> None:
    chats.world.add_user(42, "Ann")
    chats.write(42, "/forget")
    with polling(chats, f"http://127.0.0.1:{free_loopback_port()}", "any", tmp_path / "bot.log"):
        wait_until(lambda: list_answers(chats))
    assert list_answers(chats)[0].startswith("That did not work just now.")
