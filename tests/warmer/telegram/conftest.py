"""Clients of Telegram for the tests, and answers for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import responses
from pydantic import SecretStr

from faketelegram import TEST_TOKEN, FakeTelegram
from warmer.deadline import Deadline
from warmer.photo import FilePath
from warmer.telegram.client import BotApi
from warmer.telegram.connections import Server

ROOT = "https://api.telegram.org"
FILE_ID = "AgACAgIAAxkBAAIBcGabcdefghijklmnopqrstuvwxyz0123456789"
ME: dict[str, Any] = {"ok": True, "result": {"id": 1, "first_name": "Bo", "username": "bo_bot"}}
PATH = FilePath("photos/file_1.jpg", "AQAD")
Calls = list[tuple[str, str, float]]
Use = Callable[[BotApi], object]
GET_ME: Use = lambda api: api.get_me(Deadline(60))  # noqa: E731
GET_FILE: Use = lambda api: api.get_file(FILE_ID, Deadline(60))  # noqa: E731
GET_PHOTOS: Use = lambda api: api.get_profile_photo(42, Deadline(60))  # noqa: E731
_opened: list[BotApi] = []


def open_api(url: str = ROOT, calls: Calls | None = None, token: str = TEST_TOKEN) -> BotApi:
    def note(method: str, outcome: str, seconds: float) -> None:
        if calls is not None:
            calls.append((method, outcome, seconds))

    return open_at(Server(url), token, note)


def open_at(server: Server, token: str = TEST_TOKEN, note: Callable[..., None] = lambda *_: None) -> BotApi:
    _opened.append(BotApi(SecretStr(token), server, connections=4, on_call=note))
    return _opened[-1]


@pytest.fixture(autouse=True)
def close_clients() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


@pytest.fixture
def api(telegram: FakeTelegram) -> BotApi:
    """A client of the fake Telegram over HTTP."""
    return open_api(telegram.url)


@pytest.fixture
def mocked() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def url_of(method: str) -> str:
    return f"{ROOT}/file/bot{TEST_TOKEN}/{PATH.path}" if method == "download" else f"{ROOT}/bot{TEST_TOKEN}/{method}"


def add_file(telegram: FakeTelegram, data: bytes) -> str:
    return telegram.world.add_file(data)
