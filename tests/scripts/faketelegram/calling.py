"""How the tests call the fake."""

from __future__ import annotations

from typing import Any

import requests

from faketelegram import FakeTelegram
from tests.conftest import make_picture

PATIENCE = 60.0  # seconds, per request


def call(fake: FakeTelegram, method: str, **params: str | int) -> Any:
    return requests.get(f"{fake.url}/bot{fake.token}/{method}", params=params, timeout=PATIENCE).json()


def get_file(fake: FakeTelegram, file_id: str) -> Any:
    return call(fake, "getFile", file_id=file_id)


def path_of(fake: FakeTelegram, width: int = 320) -> str:
    path = get_file(fake, fake.world.file_id(42, width))["result"]["file_path"]
    assert isinstance(path, str)
    return path


def download(fake: FakeTelegram, path: str, timeout: float = PATIENCE) -> requests.Response:
    url = f"{fake.url}/file/bot{fake.token}/{path}"
    return requests.get(url, timeout=timeout, allow_redirects=False)


def make_png(width: int = 300, height: int = 200) -> bytes:
    return make_picture(width, height, "red", "PNG")
