"""A Telegram that means harm: no request leaves for another host, and nothing odd is believed or kept."""

from __future__ import annotations

import json
from typing import Any

import pytest

from faketelegram import TEST_TOKEN
from tests.support.adversary import (
    CHAT_PHOTO,
    FILE_ID,
    MEBI,
    METHODS,
    PICTURE,
    SIZE,
    Host,
    Say,
    fails,
    reply,
    result,
    run_subject,
    run_task,
)
from tests.support.web_parts import new_id
from warmer.deadline import Deadline
from warmer.keys import user_subject
from warmer.wiring import Workshop

pytest_plugins = ["tests.support.adversary_fixtures"]
pytestmark = pytest.mark.faults


def test_the_host_that_is_told_nothing_gives_pictures(hostile_shop: Workshop) -> None:
    assert [run_task(method) for method in ("getFile", "getUserProfilePhotos", "getChat")] == ["done"] * 3
    assert hostile_shop.telegram.get_me(Deadline(5)).username == "bo_bot"


# Other hosts


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", METHODS)
def test_a_redirect_is_not_followed(say: Say, elsewhere: Host, method: str, status: int) -> None:
    for location in (elsewhere.url, f"//{elsewhere.name}/x", f"http://u:p@{elsewhere.name}/", "http://[", "\ud800", ""):
        say(method, reply(b"", f"Location: {location}", f"Refresh: 0; url={location}", status=status))
        assert fails(run_task(method))


LED_ASTRAY = [
    "http://{there}/x",
    "//{there}/x",
    "/\\{there}/x",
    "\\\\{there}\\x",
    "@{there}/x",
    ":x@{there}/x",
    ".{there}/x",
    "..\\..\\x",
    "\\..\\",
    "photos/../../x",
    "photos/..;/x",
    "%2e%2e/x",
    "photos/%252e%252e/x",
    "photos/a?b#c",
    "photos/a\r\nHost: {there}\r\n\r\nGET / HTTP/1.1",
    "photos/a\n",
    "photos/a\x00.jpg",
    "photos/a\tb",
    "photos/\uff0e\uff0e/x",
    "photos/\u2025/x",
    "photos/\u202egpj.x",
    "photos\u2215x",
    "photos/\ud800",
    "photos/" + "a" * 10_000,
    "{{token}}",
    "",
    7,
    None,
    ["photos/a.jpg"],
    {"path": "photos/a.jpg"},
]


@pytest.mark.parametrize("path", LED_ASTRAY, ids=range(len(LED_ASTRAY)))
def test_a_path_that_could_lead_elsewhere_is_not_asked_for(
    say: Say, telegram_host: Host, elsewhere: Host, path: Any
) -> None:
    told = path.format(there=elsewhere.name) if isinstance(path, str) else path
    say("getFile", result({**SIZE, "file_path": told}))
    assert fails(run_task("getFile"))
    assert len(telegram_host.heads) == 1


ODD_FILE_IDS = ["AgAC.abcdefghijklmnopqrstu", "http://elsewhere/a.jpg", "AgAC/../abcdefghijklmnop", "..", "a" * 300]
ODD_FILE_IDS += [
    "",
    "AgACabcdefghijklmnopqrst\n",
    "AgACabcdefghijklmnopqrst\ud800",
    "АgАС" * 10,
    "AgAC abcdefghijklmnopq",
]


@pytest.mark.parametrize("file_id", [*ODD_FILE_IDS, 7, None, ["a" * 30], {"file_id": FILE_ID}, True])
@pytest.mark.parametrize("method", ["getUserProfilePhotos", "getChat"])
def test_an_odd_file_id_is_not_asked_for(say: Say, telegram_host: Host, method: str, file_id: Any) -> None:
    photos = {"photos": [[{**SIZE, "file_id": file_id}]], "photo": {**CHAT_PHOTO, "big_file_id": file_id}}
    say(method, result(photos))
    assert fails(run_task(method))
    assert not [head for head in telegram_host.heads if "getFile" in head[0]]


def test_a_cookie_is_not_sent_back(say: Say, telegram_host: Host) -> None:
    for domain in ("", "; Domain=127.0.0.1; Path=/", "; Max-Age=99999"):
        say("download", reply(PICTURE, f"Set-Cookie: who=me{domain}"))
        assert run_task("getFile") == "done"
    assert len(telegram_host.heads) == 6
    assert "cookie:" not in str(telegram_host.heads).lower()


# Values


ODD_PHOTOS: list[Any] = [
    None,
    {},
    [None],
    [{}],
    [[[]]],
    [[None]],
    [[SIZE, 7]],
    "photos",
    7,
    [[{**SIZE, "width": None}]],
]
ODD_PHOTOS += [[[{**SIZE, "width": "320"}]], [[{**SIZE, "width": float("nan")}]], [[{"file_id": FILE_ID, "width": 1}]]]


@pytest.mark.parametrize("photos", ODD_PHOTOS, ids=range(len(ODD_PHOTOS)))
def test_odd_photos_are_tried_again_and_do_not_end_the_one_that_is_shown(
    say: Say, hostile_shop: Workshop, photos: Any
) -> None:
    user_id = new_id()
    assert run_subject(user_subject(user_id)) == "done"
    hostile_shop.desk.profiles.mark_old(user_id)
    say("getUserProfilePhotos", result({"total_count": 1, "photos": photos}))
    assert run_subject(user_subject(user_id)).startswith("postponed")
    assert hostile_shop.desk.store.is_ready(FILE_ID)


@pytest.mark.parametrize("width", [-1, 0, 10**400, True, 2**63])
def test_an_odd_width_is_a_width(say: Say, width: int) -> None:
    say("getUserProfilePhotos", result({"photos": [[{**SIZE, "width": width}, SIZE]]}))
    assert run_task("getUserProfilePhotos") == "done"


@pytest.mark.parametrize("unique_id", [7, None, [], {}, "\ud800", "a b", "a" * 300, "a" * MEBI, TEST_TOKEN, "\x00"])
@pytest.mark.parametrize("method", ["getUserProfilePhotos", "getChat", "getFile"])
def test_an_odd_unique_id_is_not_kept(say: Say, method: str, unique_id: Any) -> None:
    size = {**SIZE, "file_unique_id": unique_id}
    photo = {**CHAT_PHOTO, "big_file_unique_id": unique_id}
    say(method, result({**size, "file_path": "photos/a.jpg", "photos": [[size]], "photo": photo}))
    assert fails(run_task(method))


@pytest.mark.parametrize("name", ["Bo\n2026 CRITICAL x: y", "\ud800Bo", "B" * 999, 7, None, ["Bo"], "Bo\x1b[31m\u2028"])
def test_the_name_of_a_bot_can_be_logged_and_shown(say: Say, hostile_shop: Workshop, name: Any) -> None:
    say("getMe", result({"first_name": name, "username": name}))
    bot = hostile_shop.telegram.get_me(Deadline(5))
    assert (bot.name, len(bot.name.encode()) <= 64) == (bot.username, True)
    assert not set(bot.name) & set("\n\x1b\u2028")
    assert bot.name.startswith("B") == isinstance(name, str)


@pytest.mark.parametrize(
    "retry_after", [-5, 0, 10**9, 10**400, "8", 2.5, None, float("nan"), float("inf"), [], True, {"seconds": 8}]
)
@pytest.mark.parametrize("method", METHODS)
def test_a_pause_lasts_an_hour_at_most_and_is_said(
    say: Say, hostile_shop: Workshop, caplog: pytest.LogCaptureFixture, method: str, retry_after: Any
) -> None:
    body = {"ok": False, "error_code": 429, "description": "Too Many", "parameters": {"retry_after": retry_after}}
    say(method, reply(json.dumps(body).encode(), "Retry-After: 999999999", status=429))
    assert run_task(method).startswith("postponed")
    assert 0 < hostile_shop.budget.get_pause() <= 3600
    assert "asks for a pause" in caplog.text
