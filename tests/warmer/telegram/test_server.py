"""Where the settings say that Telegram is."""

from __future__ import annotations

import pytest
import responses
from pydantic import SecretStr

from faketelegram import TEST_TOKEN
from tests.support.servers import Certificate
from tests.warmer.telegram.conftest import ME, open_at
from warmer.deadline import Deadline
from warmer.photo import FilePath
from warmer.settings import load_settings
from warmer.telegram.connections import Server


@pytest.mark.parametrize(
    ("server", "method_url", "file_url"),
    [
        (Server("https://a/root"), "https://a/root/bot{}/getMe", "https://a/root/file/bot{}/photos/1.jpg"),
        (Server("http://a:1", "https://b/tg"), "http://a:1/bot{}/getMe", "https://b/tg/file/bot{}/photos/1.jpg"),
        (Server("https://a", is_test=True), "https://a/bot{}/test/getMe", "https://a/file/bot{}/test/photos/1.jpg"),
    ],
)
def test_methods_and_files_are_where_the_settings_say(server: Server, method_url: str, file_url: str) -> None:
    with responses.RequestsMock() as mock:
        mock.get(method_url.format(TEST_TOKEN), json=ME)
        mock.get(file_url.format(TEST_TOKEN), body=b"\0")
        api = open_at(server)
        assert api.get_me(Deadline(60)).username == "bo_bot"
        assert api.download(FilePath("photos/1.jpg", ""), Deadline(60)).data == b"\0"


@pytest.mark.parametrize(
    ("server", "is_said"),
    [
        (Server("http://bot-api:8081"), True),
        (Server("https://a", "http://files"), True),
        (Server("https://a", "https://files"), False),
        (Server("http://localhost:8081"), False),
    ],
)
def test_a_token_in_plain_text_is_warned_of_at_the_start(
    caplog: pytest.LogCaptureFixture, server: Server, is_said: bool
) -> None:
    open_at(server)
    assert ("plain text" in caplog.text) == is_said


def test_every_setting_of_the_way_is_read(certificate: Certificate) -> None:
    values = {
        "telegram_api_url": "https://a",
        "telegram_file_url": "https://b",
        "telegram_test": True,
        "telegram_proxy": SecretStr("http://p:1"),
        "telegram_ca_file": certificate.file,
    }
    assert Server.read(load_settings(**values)) == Server(*values.values())  # type: ignore[arg-type]  # in their order
