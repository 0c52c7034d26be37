"""The fake Telegram speaks as the real one does, fails as it is told to, and stops at once."""

import asyncio
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import requests
import telegram
from PIL import Image

from faketelegram import FAULTS, FakeTelegram, FieldError, UnknownAccountError, demo_users
from faketelegram.__main__ import main
from faketelegram.users import FIELDS, load
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTATION = (ROOT / "docs" / "fake-telegram.md").read_text(encoding="utf-8")
FILE_ID = re.compile(r"[A-Za-z0-9_-]{56,100}")
AS_JSON = {"Content-Type": "application/json"}
PATIENCE = 60.0  # seconds, of a client of these tests


@pytest.fixture
def fake() -> Iterator[FakeTelegram]:
    with FakeTelegram() as running:
        running.world.add_user(42, "Ann", last_name="Lee", username="annlee")
        yield running


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


@pytest.fixture
def pauses(fake: FakeTelegram) -> list[float]:
    """Every pause that the fake makes, in seconds; none of them takes any time."""
    seen: list[float] = []

    def wait(_: Event, seconds: float) -> bool:
        seen.append(seconds)
        return False

    fake.wait = wait
    return seen


# The methods


def test_get_me_names_the_bot_of_the_token(fake: FakeTelegram) -> None:
    me = call(fake, "getMe")["result"]
    assert (me["id"], me["is_bot"]) == (123456789, True)


def test_a_photo_comes_in_three_sizes_with_ids_of_their_own(fake: FakeTelegram) -> None:
    photos = call(fake, "getUserProfilePhotos", user_id=42, limit=1)["result"]
    sizes = photos["photos"][0]
    assert photos["total_count"] == 1
    assert [size["width"] for size in sizes] == [160, 320, 640] == [size["height"] for size in sizes]
    assert len({size["file_id"] for size in sizes}) == 3 == len({size["file_unique_id"] for size in sizes})
    assert all(FILE_ID.fullmatch(size["file_id"]) for size in sizes)


def test_ids_and_bytes_are_the_same_in_every_run(fake: FakeTelegram) -> None:
    with FakeTelegram() as other:
        other.world.add_user(42, "Ann")
        assert other.world.file_id(42) == fake.world.file_id(42)
        assert download(other, path_of(other)).content == download(fake, path_of(fake)).content


def test_another_bot_sees_other_file_ids_but_the_same_unique_ids(fake: FakeTelegram) -> None:
    with FakeTelegram(token="987654321:OTHER") as other:
        other.world.add_user(42, "Ann")
        mine, theirs = (get_file(one, one.world.file_id(42))["result"] for one in (fake, other))
    assert mine["file_id"] != theirs["file_id"]
    assert mine["file_unique_id"] == theirs["file_unique_id"]


@pytest.mark.parametrize(("width", "least", "most"), [(160, 9, 13), (320, 16, 39), (640, 55, 115)])
def test_downloads_are_jpeg_squares_as_heavy_as_the_real_ones(
    fake: FakeTelegram, width: int, least: int, most: int
) -> None:
    answer = download(fake, path_of(fake, width))
    image = Image.open(io.BytesIO(answer.content))
    assert (image.format, image.size) == ("JPEG", (width, width))
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert least * 1000 < len(answer.content) < most * 1000


def test_parameters_may_come_as_query_form_json_or_multipart(fake: FakeTelegram) -> None:
    url, wanted = f"{fake.url}/bot{fake.token}/getFile", {"file_id": fake.world.file_id(42)}
    answers = [
        requests.get(url, params=wanted, timeout=PATIENCE),
        requests.post(url, params=wanted, timeout=PATIENCE),
        requests.post(url, data=wanted, timeout=PATIENCE),
        requests.post(url, json=wanted, timeout=PATIENCE),
        requests.post(url, files={name: (None, value) for name, value in wanted.items()}, timeout=PATIENCE),
        requests.post(url, data=iter([json.dumps(wanted).encode()]), headers=AS_JSON, timeout=PATIENCE),
    ]
    assert [answer.json()["ok"] for answer in answers] == [True] * 6


def test_method_names_are_case_insensitive_and_counted_by_their_proper_name(fake: FakeTelegram) -> None:
    assert call(fake, "GETME")["ok"]
    assert fake.calls == {"getMe": 1}


def test_offset_and_limit_page_through_older_photos_newest_first(fake: FakeTelegram) -> None:
    first = fake.world.file_id(42)
    fake.world.change_photo(42)
    newest = call(fake, "getUserProfilePhotos", user_id=42, limit=1)["result"]
    older = call(fake, "getUserProfilePhotos", user_id=42, offset=1)["result"]
    assert newest["total_count"] == 2
    assert newest["photos"][0][1]["file_id"] == fake.world.file_id(42) != first
    assert [photo[1]["file_id"] for photo in older["photos"]] == [first]


def test_get_chat_has_ids_of_its_own_for_the_same_pictures(fake: FakeTelegram) -> None:
    photo = call(fake, "getChat", chat_id=42)["result"]["photo"]
    small, _, big = call(fake, "getUserProfilePhotos", user_id=42)["result"]["photos"][0]
    assert photo["small_file_unique_id"] == small["file_unique_id"]
    assert photo["big_file_unique_id"] == big["file_unique_id"]
    assert photo["small_file_id"] != small["file_id"]
    assert get_file(fake, photo["big_file_id"])["ok"]


def test_only_the_ids_from_get_chat_die_when_the_photo_changes(fake: FakeTelegram) -> None:
    from_chat = call(fake, "getChat", chat_id=42)["result"]["photo"]["big_file_id"]
    from_profile = fake.world.file_id(42)
    fake.world.change_photo(42)
    assert get_file(fake, from_chat)["description"] == "Bad Request: invalid file_id"
    assert get_file(fake, from_profile)["ok"]


def test_a_public_photo_shows_in_get_chat_alone(fake: FakeTelegram) -> None:
    fake.world.add_user(43, "Bob", public_only=True)
    assert call(fake, "getUserProfilePhotos", user_id=43)["result"] == {"total_count": 0, "photos": []}
    assert call(fake, "getChat", chat_id=43)["result"]["photo"]["big_file_id"] == fake.world.file_id(43)


def test_a_hidden_photo_looks_like_none_until_it_is_shown_again(fake: FakeTelegram) -> None:
    fake.world.hide_photo(42)
    assert call(fake, "getUserProfilePhotos", user_id=42)["result"] == {"total_count": 0, "photos": []}
    assert "photo" not in call(fake, "getChat", chat_id=42)["result"]
    fake.world.show_photo(42)
    assert get_file(fake, call(fake, "getChat", chat_id=42)["result"]["photo"]["small_file_id"])["ok"]


def test_groups_and_channels_answer_to_negative_ids_and_to_names(fake: FakeTelegram) -> None:
    fake.world.add_chat(-1001234567890, "News", kind="channel", username="our_news")
    by_id = call(fake, "getChat", chat_id=-1001234567890)["result"]
    assert (by_id["type"], by_id["title"]) == ("channel", "News")
    assert by_id == call(fake, "getChat", chat_id="@our_news")["result"]
    assert get_file(fake, by_id["photo"]["small_file_id"])["ok"]


def test_a_path_stays_until_it_expires_and_is_another_one_then(fake: FakeTelegram) -> None:
    path = path_of(fake)
    assert path_of(fake) == path == "photos/file_0.jpg"
    fake.world.expire_paths()
    assert download(fake, path).status_code == 404
    assert path_of(fake) == "photos/file_1.jpg"


def test_given_bytes_are_served_as_they_are(fake: FakeTelegram) -> None:
    fake.world.add_user(43, "Bob", picture=b"not even an image")
    for file_id, data in ((fake.world.file_id(43), b"not even an image"), (fake.world.add_file(b"123"), b"123")):
        path = get_file(fake, file_id)["result"]["file_path"]
        assert download(fake, path).content == data


# Refusals


@pytest.mark.parametrize(
    ("method", "params", "code", "description"),
    [
        ("getUserProfilePhotos", {"user_id": 7}, 400, "Bad Request: user not found"),
        ("getUserProfilePhotos", {}, 400, "Bad Request: invalid user_id specified"),
        ("getUserProfilePhotos", {"user_id": 44}, 403, "Forbidden: user is deactivated"),
        ("getChat", {"chat_id": 7}, 400, "Bad Request: chat not found"),
        ("getChat", {"chat_id": "@nobody"}, 400, "Bad Request: chat not found"),
        ("getChat", {}, 400, "Bad Request: chat_id is empty"),
        ("getChat", {"chat_id": 44}, 403, "Forbidden: user is deactivated"),
        ("getFile", {"file_id": "https://a.b/c"}, 400, "Bad Request: invalid file_id"),
        ("getFile", {}, 400, "Bad Request: file_id not specified"),
        ("sendDice", {"chat_id": 42}, 404, "Not Found: method not found"),
        ("sendPhoto", {"chat_id": 42}, 400, "Bad Request: there is no photo in the request"),
        ("sendPhoto", {"chat_id": 7, "photo": "AgAC"}, 400, "Bad Request: chat not found"),
        ("sendPhoto", {"chat_id": 42, "photo": "http://a.b/c"}, 400, "Bad Request: failed to get HTTP URL content"),
        (
            "sendPhoto",
            {"chat_id": 42, "photo": "x", "caption": "x" * 1025},
            400,
            "Bad Request: message caption is too long",
        ),
        ("sendChatAction", {"chat_id": 42, "action": "dance"}, 400, "Bad Request: wrong parameter action in request"),
        ("sendChatAction", {"chat_id": 44, "action": "typing"}, 403, "Forbidden: user is deactivated"),
        ("setWebhook", {"url": "not a url"}, 400, "Bad Request: invalid webhook URL specified"),
        (
            "setWebhook",
            {"url": "http://a.b/c"},
            400,
            "Bad Request: bad webhook: An HTTPS URL must be provided for webhook",
        ),
        (
            "setWebhook",
            {"url": "https://a.b", "secret_token": "no spaces"},
            400,
            "Bad Request: secret token contains unallowed characters",
        ),
        ("setWebhook", {"url": "https://a.b", "secret_token": "x" * 257}, 400, "Bad Request: secret token is too long"),
        ("setMyCommands", {"commands": "{"}, 400, "Bad Request: can't parse commands JSON object"),
        ("setMyCommands", {"commands": "{}"}, 400, "Bad Request: expected an Array of BotCommand"),
        (
            "setMyCommands",
            {"commands": '[{"command": "No!", "description": "x"}]'},
            400,
            "Bad Request: BOT_COMMAND_INVALID",
        ),
        (
            "getMyCommands",
            {"scope": '{"type": "friends"}'},
            400,
            "Bad Request: can't parse BotCommandScope: Unsupported type specified",
        ),
        (
            "setChatMenuButton",
            {"menu_button": '{"type": "dance"}'},
            400,
            "Bad Request: can't parse menu button: MenuButton has unsupported type",
        ),
        ("setChatMenuButton", {"chat_id": 7}, 400, "Bad Request: user not found"),
    ],
)
def test_refusals_come_in_telegrams_own_words(
    fake: FakeTelegram, method: str, params: dict[str, str | int], code: int, description: str
) -> None:
    fake.world.add_user(44, "Gone")
    fake.world.deactivate(44)
    answer = requests.get(f"{fake.url}/bot{fake.token}/{method}", params=params, timeout=PATIENCE)
    assert answer.status_code == code
    assert answer.json() == {"ok": False, "error_code": code, "description": description}


def test_a_removed_user_takes_the_files_along(fake: FakeTelegram) -> None:
    file_id = fake.world.file_id(42)
    fake.world.remove_user(42)
    assert get_file(fake, file_id)["error_code"] == 400
    with pytest.raises(UnknownAccountError, match="42"):
        fake.world.change_photo(42)


def test_a_file_over_twenty_megabytes_is_too_big(fake: FakeTelegram) -> None:
    file_id = fake.world.add_file(bytes(20 * 1024 * 1024 + 1))
    assert get_file(fake, file_id)["description"] == "Bad Request: file is too big"


@pytest.mark.parametrize(("token", "code"), [("123456789:WRONG", 401), ("nonsense", 404)])
def test_a_wrong_token_is_unauthorized_and_a_malformed_one_not_found(fake: FakeTelegram, token: str, code: int) -> None:
    assert requests.get(f"{fake.url}/bot{token}/getMe", timeout=PATIENCE).status_code == code
    assert requests.get(f"{fake.url}/file/bot{token}/photos/file_0.jpg", timeout=PATIENCE).status_code == code


# Counters


def test_calls_and_downloads_are_counted_and_logged_until_reset(fake: FakeTelegram) -> None:
    download(fake, path_of(fake))
    assert fake.calls == {"getFile": 1, "download": 1}
    assert [(method, params) for _, method, params in fake.log][1] == ("download", {"file_path": "photos/file_0.jpg"})
    fake.reset()
    assert (fake.calls, fake.log, fake.connections, fake.max_in_flight) == ({}, [], 0, 0)


def test_one_connection_serves_many_calls(fake: FakeTelegram) -> None:
    with requests.Session() as session:
        for _ in range(5):
            session.get(f"{fake.url}/bot{fake.token}/getMe", timeout=PATIENCE)
    assert (fake.connections, fake.max_in_flight, fake.calls["getMe"]) == (1, 1, 5)


def test_calls_at_the_same_moment_show_in_max_in_flight(fake: FakeTelegram) -> None:
    fake.fail("getMe", "hang", times=3)
    clients = [socket.create_connection(("127.0.0.1", fake.port)) for _ in range(3)]
    for client in clients:
        client.sendall(f"GET /bot{fake.token}/getMe HTTP/1.1\r\nHost: fake\r\n\r\n".encode())
    wait_until(lambda: fake.max_in_flight == 3)
    for client in clients:
        client.close()
    wait_until(lambda: fake.traffic.in_flight == 0)


def test_latency_is_per_call_and_connect_latency_per_connection(fake: FakeTelegram, pauses: list[float]) -> None:
    fake.latency, fake.connect_latency = 0.05, 0.2
    with requests.Session() as session:
        for _ in range(2):
            session.get(f"{fake.url}/bot{fake.token}/getMe", timeout=PATIENCE)
    assert pauses == [0.2, 0.05, 0.05]


# Faults


def test_a_429_says_when_to_come_back_in_body_and_header(fake: FakeTelegram) -> None:
    fake.fail("getMe", "too-many-requests", retry_after=8)
    answer = requests.get(f"{fake.url}/bot{fake.token}/getMe", timeout=PATIENCE)
    assert answer.headers["Retry-After"] == "8"
    assert answer.json() == {
        "ok": False,
        "error_code": 429,
        "description": "Too Many Requests: retry after 8",
        "parameters": {"retry_after": 8},
    }


def test_a_fault_lasts_its_number_of_times_and_the_next_one_follows(fake: FakeTelegram) -> None:
    fake.fail("getMe", "internal-error", times=2)
    fake.fail("*", "user-not-found")
    codes = [call(fake, "getMe").get("error_code") for _ in range(4)]
    assert codes == [500, 500, 400, None]


def test_a_fault_without_a_number_lasts_until_it_is_cleared(fake: FakeTelegram) -> None:
    fake.fail("getMe", "unauthorized", times=None)
    assert [call(fake, "getMe")["ok"] for _ in range(3)] == [False] * 3
    fake.clear_faults()
    assert call(fake, "getMe")["ok"]


def test_a_fault_can_be_for_one_user_or_one_file(fake: FakeTelegram) -> None:
    fake.world.add_user(43, "Bob")
    fake.fail("*", "temporarily-unavailable", times=None, user_id=43)
    fake.fail("getFile", "invalid-file-id", times=None, file_id=fake.world.file_id(42, 640))
    spoilt = [
        call(fake, "getChat", chat_id=43),
        call(fake, "getUserProfilePhotos", user_id=43),
        get_file(fake, fake.world.file_id(43)),
        get_file(fake, fake.world.file_id(42, 640)),
    ]
    assert [answer["ok"] for answer in spoilt] == [False] * 4
    assert get_file(fake, fake.world.file_id(42))["ok"]
    assert call(fake, "getChat", chat_id=42)["ok"]


@pytest.mark.parametrize(
    ("fault", "code", "description"),
    [
        ("temporarily-unavailable", 400, "Bad Request: wrong file_id or the file is temporarily unavailable"),
        ("invalid-file-id", 400, "Bad Request: invalid file_id"),
        ("file-too-big", 400, "Bad Request: file is too big"),
        ("user-not-found", 400, "Bad Request: user not found"),
        ("chat-not-found", 400, "Bad Request: chat not found"),
        ("user-deactivated", 403, "Forbidden: user is deactivated"),
        ("unauthorized", 401, "Unauthorized"),
        ("not-found", 404, "Not Found"),
        ("internal-error", 500, "Internal Server Error"),
    ],
)
def test_a_refusal_can_be_had_on_demand(fake: FakeTelegram, fault: str, code: int, description: str) -> None:
    fake.fail("getFile", fault)
    answer = get_file(fake, "whatever")
    assert (answer["error_code"], answer["description"]) == (code, description)


@pytest.mark.parametrize(
    ("fault", "path"),
    [
        ("no-file-path", None),
        ("absolute-file-path", "/var/lib/telegram-bot-api/photos/file_0.jpg"),
        ("dotdot-file-path", "photos/../../../etc/passwd"),
        ("scheme-file-path", "http://elsewhere.invalid/file_0.jpg"),
        ("double-slash-file-path", "//elsewhere.invalid/file_0.jpg"),
        ("crlf-file-path", "photos/file_0.jpg HTTP/1.1\r\nX-Injected: yes"),
    ],
)
def test_a_file_path_can_be_one_not_to_be_trusted(fake: FakeTelegram, fault: str, path: str | None) -> None:
    fake.fail("getFile", fault)
    answer = get_file(fake, fake.world.file_id(42))
    assert answer["ok"]
    assert answer["result"].get("file_path") == path


def test_an_expired_path_stays_dead_until_get_file_gives_another(fake: FakeTelegram) -> None:
    path = path_of(fake)
    fake.fail("download", "path-expired")
    assert [download(fake, path).status_code for _ in range(2)] == [404, 404]
    assert download(fake, path_of(fake)).status_code == 200


def test_a_bad_gateway_has_a_page_for_a_body(fake: FakeTelegram) -> None:
    fake.fail("download", "bad-gateway")
    answer = download(fake, "photos/file_0.jpg")
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html")


def test_a_redirect_leads_where_it_is_told_to(fake: FakeTelegram) -> None:
    fake.fail("download", "redirect", location="http://127.0.0.1:9/evil")
    answer = download(fake, "photos/file_0.jpg")
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://127.0.0.1:9/evil")


@pytest.mark.parametrize(("fault", "told"), [("oversize", True), ("oversize-chunked", False)])
def test_an_oversize_file_still_decodes_and_may_hide_its_length(fake: FakeTelegram, fault: str, told: bool) -> None:
    path = path_of(fake)
    fake.fail("download", fault)
    answer = download(fake, path)
    assert len(answer.content) == 10 * 1024 * 1024 + 1
    assert ("Content-Length" in answer.headers) == told
    assert Image.open(io.BytesIO(answer.content)).size == (320, 320)


def test_an_oversize_answer_is_still_json(fake: FakeTelegram) -> None:
    fake.fail("getMe", "oversize", size=100_000)
    answer = requests.get(f"{fake.url}/bot{fake.token}/getMe", timeout=PATIENCE)
    assert (len(answer.content), answer.json()["ok"]) == (100_000, True)


def test_content_can_be_of_the_wrong_type_or_the_wrong_kind(fake: FakeTelegram) -> None:
    path = path_of(fake)
    fake.fail("download", "wrong-content-type", content_type="image/svg+xml")
    fake.fail("download", "not-an-image")
    fake.fail("getMe", "not-json")
    assert download(fake, path).headers["Content-Type"] == "image/svg+xml"
    assert download(fake, path).content.startswith(b"<!doctype html>")
    with pytest.raises(requests.JSONDecodeError):
        call(fake, "getMe")


def test_a_truncated_body_is_shorter_than_promised(fake: FakeTelegram) -> None:
    path = path_of(fake)
    fake.fail("download", "truncated-body")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="more expected"):
        download(fake, path)


def test_a_reset_is_a_reset_and_not_an_end(fake: FakeTelegram) -> None:
    fake.fail("getMe", "connection-reset")
    with socket.create_connection(("127.0.0.1", fake.port), timeout=PATIENCE) as client:
        client.sendall(f"GET /bot{fake.token}/getMe HTTP/1.1\r\nHost: fake\r\n\r\n".encode())
        with pytest.raises(ConnectionResetError):
            client.recv(100)


def test_a_late_answer_is_the_right_one(fake: FakeTelegram, pauses: list[float]) -> None:
    fake.fail("getMe", "late", seconds=7)
    assert call(fake, "getMe")["ok"]
    assert pauses == [7]


def test_without_a_latency_the_fake_waits_for_nothing(fake: FakeTelegram, pauses: list[float]) -> None:
    download(fake, path_of(fake))
    assert pauses == []


def test_a_slow_body_arrives_byte_by_byte(fake: FakeTelegram, pauses: list[float]) -> None:
    fake.fail("getMe", "slow-body", interval=0.5)
    answer = requests.get(f"{fake.url}/bot{fake.token}/getMe", timeout=PATIENCE)
    assert answer.json()["ok"]
    wait_until(lambda: len(pauses) == len(answer.content))  # the last one comes after the last byte
    assert set(pauses) == {0.5}


def test_slow_headers_arrive_byte_by_byte(fake: FakeTelegram, pauses: list[float]) -> None:
    fake.fail("getMe", "slow-headers", interval=0.5)
    assert call(fake, "getMe")["ok"]
    assert len(pauses) > 100
    assert set(pauses) == {0.5}


@pytest.mark.parametrize("fault", ["hang", "slow-headers", "slow-body", "no fault"])
def test_nothing_that_is_still_going_out_holds_up_the_stop(fake: FakeTelegram, fault: str) -> None:
    path, listener = path_of(fake), fake._listener
    fake.latency = 3600 if fault == "no fault" else 0
    if fault in FAULTS:
        fake.fail("download", fault)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(download, fake, path, 3600)
        wait_until(lambda: fake.calls["download"])
        fake.stop()
        assert isinstance(answer.exception(PATIENCE), requests.RequestException)
    assert listener
    assert not listener._open


def test_it_can_go_away_and_come_back_on_the_same_port(fake: FakeTelegram) -> None:
    url = fake.url
    fake.stop()
    with pytest.raises(requests.ConnectionError):
        call(fake, "getMe")
    fake.start()
    assert fake.url == url
    assert call(fake, "getMe")["ok"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"method": "getMe", "fault": "no-such-fault"}, "no-such-fault"),
        ({"method": "getYou", "fault": "hang"}, "getYou"),
        ({"method": "getMe", "fault": "path-expired"}, "path-expired"),
        ({"method": "getMe", "fault": "hang", "times": 0}, "times"),
        ({"method": "getMe", "fault": "hang", "retry_after": 1}, "retry_after"),
        ({"method": "getMe", "fault": "redirect", "location": "a\r\nb"}, "location"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_by_name(fake: FakeTelegram, wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        fake.fail(**wrong)
    assert requests.post(f"{fake.url}/_fake/faults", json=wrong, timeout=PATIENCE).status_code == 422


# From another process


def test_faults_and_counters_can_be_reached_over_http(fake: FakeTelegram) -> None:
    control = f"{fake.url}/_fake"
    wanted = {"method": "getFile", "fault": "too-many-requests", "times": "forever", "retry_after": 3}
    assert requests.post(f"{control}/faults", json=wanted, timeout=PATIENCE).json() == [wanted]
    assert get_file(fake, "any")["parameters"] == {"retry_after": 3}
    assert requests.delete(f"{control}/faults", timeout=PATIENCE).json() == []
    assert requests.get(f"{control}/calls", timeout=PATIENCE).json() == {"getFile": 1}
    assert requests.get(f"{control}/traffic", timeout=PATIENCE).json()["max_in_flight"] == 1
    requests.delete(f"{control}/calls", timeout=PATIENCE)
    assert fake.calls == {}


def test_people_and_photos_can_be_changed_over_http(fake: FakeTelegram) -> None:
    people = f"{fake.url}/_fake/users"
    added = requests.post(people, json={"id": 43, "first_name": "Bob", "photo": False}, timeout=PATIENCE)
    assert (added.status_code, added.json()["file_ids"]) == (201, {})
    drawn = requests.post(f"{people}/43/photo", timeout=PATIENCE).json()["file_ids"]["320"]
    given = requests.post(f"{people}/43/photo", data=an_image(), timeout=PATIENCE).json()["file_ids"]["320"]
    assert drawn != given == fake.world.file_id(43)
    assert requests.delete(f"{people}/43/photo", timeout=PATIENCE).json()["file_ids"] == {}
    assert [one["name"] for one in requests.get(people, timeout=PATIENCE).json()] == ["Ann Lee", "Bob"]
    assert [one["id"] for one in requests.delete(f"{people}/43", timeout=PATIENCE).json()] == [42]


@pytest.mark.parametrize(
    ("path", "body", "code", "field"),
    [
        ("users", b"{", 422, "body"),
        ("users", b"[]", 422, "body"),
        ("users", b'{"first_name": "Bob"}', 422, "id"),
        ("users", b'{"id": 0, "first_name": "Bob"}', 422, "id"),
        ("users", b'{"id": 42, "first_name": "Ann"}', 422, "id"),
        ("users", b'{"id": 43}', 422, "first_name"),
        ("users", b'{"id": 43, "first_name": "Bob", "photo": "?"}', 422, "photo"),
        ("users", b'{"id": 43, "first_name": "Bob", "age": 7}', 422, "age"),
        ("users", b'{"id": -43, "title": "Us", "kind": "private"}', 422, "kind"),
        ("users/42/photo", b"no image", 422, "photo"),
        ("users/43/photo", b"", 404, "id"),
        ("users/43/messages", b"Hi", 404, "id"),
        ("users/42/messages", b"", 422, "text"),
        ("faults", b'{"fault": "hang"}', 422, "method"),
        ("nothing", b"", 404, None),
    ],
)
def test_bad_input_is_refused_with_the_name_of_its_field(
    fake: FakeTelegram, path: str, body: bytes, code: int, field: str | None
) -> None:
    answer = requests.post(f"{fake.url}/_fake/{path}", data=body, timeout=PATIENCE)
    assert (answer.status_code, answer.json().get("field")) == (code, field)


def an_image(width: int = 300, height: int = 200) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(out, "PNG")
    return out.getvalue()


# Messages


def test_a_photo_is_sent_by_its_file_id_or_uploaded(fake: FakeTelegram) -> None:
    file_id = fake.world.file_id(42)
    sent = call(fake, "sendPhoto", chat_id=42, photo=file_id, caption="You")["result"]
    assert (sent["chat"]["id"], sent["caption"], sent["photo"][0]["file_id"]) == (42, "You", file_id)
    assert (sent["photo"][0]["width"], sent["photo"][0]["height"]) == (320, 320)
    url, chat = f"{fake.url}/bot{fake.token}/sendPhoto", {"chat_id": "42"}
    for fields, name in ((chat, "photo"), ({**chat, "photo": "attach://one"}, "one")):
        files = {name: ("a.png", an_image(30, 20))}
        [size] = requests.post(url, data=fields, files=files, timeout=PATIENCE).json()["result"]["photo"]
        assert (size["width"], size["height"]) == (30, 20)
        assert download(fake, get_file(fake, size["file_id"])["result"]["file_path"]).content == an_image(30, 20)
    broken = requests.post(url, data=chat, files={"photo": ("a.png", b"no image")}, timeout=PATIENCE).json()
    assert broken["description"] == "Bad Request: IMAGE_PROCESS_FAILED"


def test_a_client_library_sets_up_a_bot_and_sends_a_photo(fake: FakeTelegram) -> None:
    async def use() -> tuple[telegram.WebhookInfo, telegram.Message]:
        async with telegram.Bot(fake.token, f"{fake.url}/bot", f"{fake.url}/file/bot") as bot:
            await bot.set_webhook("https://example.com/hook", secret_token="s3cret")
            await bot.set_my_commands([telegram.BotCommand("start", "Begin")])
            assert [one.command for one in await bot.get_my_commands()] == ["start"]
            assert await bot.set_chat_menu_button(42, telegram.MenuButtonCommands())
            assert await bot.send_chat_action(42, "upload_photo")
            with pytest.raises(telegram.error.EndPointNotFound):
                await bot.do_api_request("sendNothing")
            return await bot.get_webhook_info(), await bot.send_photo(42, an_image(), caption="Hi")

    info, message = asyncio.run(use())
    assert (info.url, message.caption, message.photo[-1].width) == ("https://example.com/hook", "Hi", 300)


def test_an_update_comes_again_until_it_is_confirmed(fake: FakeTelegram) -> None:
    fake.write(42, "/start now")
    fake.write(42, "hello")
    first, second = call(fake, "getUpdates")["result"]
    assert call(fake, "getUpdates", limit=1)["result"] == [first]
    assert call(fake, "getUpdates", offset=second["update_id"])["result"] == [second]
    assert call(fake, "getUpdates", offset=second["update_id"] + 1)["result"] == []
    sender = {"id": 42, "is_bot": False, "first_name": "Ann", "last_name": "Lee", "username": "annlee"}
    message = first["message"]
    assert (message["from"], message["text"], message["chat"]["type"]) == (sender, "/start now", "private")
    assert message["entities"] == [{"type": "bot_command", "offset": 0, "length": 6}]
    assert "entities" not in second["message"]


def test_a_negative_offset_counts_from_the_end(fake: FakeTelegram) -> None:
    for text in ("one", "two", "three"):
        fake.write(42, text)
    assert [update["message"]["text"] for update in call(fake, "getUpdates", offset=-1)["result"]] == ["three"]
    assert len(call(fake, "getUpdates")["result"]) == 1


def test_get_updates_waits_for_the_first_and_no_longer_than_it_is_told(fake: FakeTelegram) -> None:
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(call, fake, "getUpdates", timeout=50)
        wait_until(lambda: fake.calls["getUpdates"])
        fake.write(42, "hello")
        assert waiting.result(PATIENCE)["result"][0]["message"]["text"] == "hello"
    assert call(fake, "getUpdates", offset=2, timeout=1)["result"] == []


def test_a_client_that_waits_for_updates_does_not_hold_up_the_stop(fake: FakeTelegram) -> None:
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(requests.get, f"{fake.url}/bot{fake.token}/getUpdates?timeout=50", timeout=PATIENCE)
        wait_until(lambda: fake.calls["getUpdates"])
        fake.stop()
        assert isinstance(waiting.exception(PATIENCE), requests.RequestException)


def test_deleting_a_webhook_that_does_not_exist_can_drop_pending_updates(fake: FakeTelegram) -> None:
    fake.write(42, "hello")
    assert call(fake, "deleteWebhook")["result"] is True
    assert len(call(fake, "getUpdates")["result"]) == 1
    assert call(fake, "deleteWebhook", drop_pending_updates="true")["result"] is True
    assert call(fake, "getUpdates")["result"] == []


def test_a_message_is_answered_with_itself(fake: FakeTelegram) -> None:
    message = call(fake, "sendMessage", chat_id=42, text="Hi")["result"]
    assert (message["text"], message["chat"]["id"], message["from"]["is_bot"]) == ("Hi", 42, True)
    assert call(fake, "sendMessage", chat_id=42, text="Hi")["result"]["message_id"] == message["message_id"] + 1


@pytest.mark.parametrize(
    ("chat_id", "text", "code", "description"),
    [
        (43, "Hi", 400, "Bad Request: chat not found"),
        (42, "", 400, "Bad Request: message text is empty"),
        (42, "a" * 4097, 400, "Bad Request: message is too long"),
        (44, "Hi", 403, "Forbidden: user is deactivated"),
    ],
)
def test_a_message_that_cannot_be_sent_is_refused(
    fake: FakeTelegram, chat_id: int, text: str, code: int, description: str
) -> None:
    fake.world.add_user(44, "Gone")
    fake.world.deactivate(44)
    answer = call(fake, "sendMessage", chat_id=chat_id, text=text)
    assert (answer["error_code"], answer["description"]) == (code, description)


def test_somebody_can_write_over_http(fake: FakeTelegram) -> None:
    people = f"{fake.url}/_fake/users"
    written = requests.post(f"{people}/42/messages", data="Hé".encode(), timeout=PATIENCE)
    assert (written.status_code, written.json()) == (201, call(fake, "getUpdates")["result"][0])
    assert written.json()["message"]["text"] == "Hé"


# With a real client library


def test_python_telegram_bot_reads_photos_chats_and_files(fake: FakeTelegram) -> None:
    async def read() -> None:
        async with telegram.Bot(fake.token, f"{fake.url}/bot", f"{fake.url}/file/bot") as bot:
            photos = await bot.get_user_profile_photos(42, limit=1)
            chat = await bot.get_chat(42)
            file = await bot.get_file(photos.photos[0][1].file_id)
            data = bytes(await file.download_as_bytearray())
            assert chat.photo is not None
            big = bytes(await (await chat.photo.get_big_file()).download_as_bytearray())
        assert bot.id == 123456789
        assert (chat.first_name, chat.type) == ("Ann", "private")
        assert (photos.total_count, len(data)) == (1, photos.photos[0][1].file_size)
        assert Image.open(io.BytesIO(big)).size == (640, 640)

    asyncio.run(read())


@pytest.mark.filterwarnings("ignore::telegram.warnings.PTBDeprecationWarning")
def test_python_telegram_bot_understands_the_faults(fake: FakeTelegram) -> None:
    async def read() -> None:
        async with telegram.Bot(fake.token, f"{fake.url}/bot", f"{fake.url}/file/bot") as bot:
            fake.fail("getFile", "too-many-requests", retry_after=7)
            fake.fail("getFile", "invalid-file-id")
            fake.fail("getFile", "bad-gateway")
            fake.fail("getFile", "connection-reset")
            with pytest.raises(telegram.error.RetryAfter, match="7"):
                await bot.get_file("any")
            with pytest.raises(telegram.error.BadRequest, match="Invalid file_id"):
                await bot.get_file("any")
            for _ in range(2):
                with pytest.raises(telegram.error.NetworkError):
                    await bot.get_file("any")

    asyncio.run(read())


# The bot's settings


def test_a_webhook_is_set_reported_and_deleted(fake: FakeTelegram) -> None:
    assert call(fake, "getWebhookInfo")["result"] == {
        "url": "",
        "has_custom_certificate": False,
        "pending_update_count": 0,
    }
    url = "https://example.com/hook"
    said = [call(fake, "setWebhook", url=url, max_connections=7, allowed_updates='["message"]') for _ in range(2)]
    assert [(one["result"], one["description"]) for one in said] == [
        (True, "Webhook was set"),
        (True, "Webhook is already set"),
    ]
    fake.write(42, "hello")
    info = call(fake, "getWebhookInfo")["result"]
    assert (info["url"], info["pending_update_count"]) == (url, 1)
    assert (info["max_connections"], info["allowed_updates"]) == (7, ["message"])
    assert [call(fake, "deleteWebhook")["description"] for _ in range(2)] == [
        "Webhook was deleted",
        "Webhook is already deleted",
    ]


def test_get_updates_is_a_conflict_while_a_webhook_is_set(fake: FakeTelegram) -> None:
    fake.write(42, "hello")
    call(fake, "setWebhook", url="https://example.com/hook")
    refused = call(fake, "getUpdates")
    assert (refused["error_code"], refused["description"][:9]) == (409, "Conflict:")
    call(fake, "setWebhook", url="")
    assert len(call(fake, "getUpdates")["result"]) == 1


def test_a_webhook_drops_pending_updates_if_it_is_told_to(fake: FakeTelegram) -> None:
    fake.write(42, "hello")
    call(fake, "setWebhook", url="https://example.com/hook", drop_pending_updates="true")
    assert call(fake, "getWebhookInfo")["result"]["pending_update_count"] == 0


def test_commands_are_kept_by_scope_and_language(fake: FakeTelegram) -> None:
    everywhere = [{"command": "start", "description": "Begin"}]
    private = {"type": "all_private_chats"}
    assert call(fake, "setMyCommands", commands=json.dumps(everywhere))["result"] is True
    call(fake, "setMyCommands", commands='[{"command": "/hi", "description": " Hi "}]', scope=json.dumps(private))
    assert call(fake, "getMyCommands")["result"] == everywhere
    assert call(fake, "getMyCommands", language_code="de")["result"] == []
    assert call(fake, "getMyCommands", scope=json.dumps(private))["result"] == [{"command": "hi", "description": "Hi"}]
    call(fake, "setMyCommands", commands="[]")
    assert call(fake, "getMyCommands")["result"] == []


# The demo people, the file of users, the documentation


def test_the_demo_world_has_two_dozen_people_with_photos() -> None:
    with FakeTelegram(users=demo_users()) as fake:
        accounts = fake.world.accounts()
        assert len({account.id for account in accounts}) == 24 == len({account.name for account in accounts})
        assert all(call(fake, "getUserProfilePhotos", user_id=one.id)["result"]["total_count"] for one in accounts[:3])
        assert len({fake.world.file_id(account.id) for account in accounts}) == 24


def test_the_documented_users_file_loads(tmp_path: Path) -> None:
    (tmp_path / "ann.jpg").write_bytes(an_image())
    example = re.search(r"```json\n(\[.*?\])\n```", DOCUMENTATION, re.DOTALL)
    assert example is not None
    (tmp_path / "users.json").write_text(example[1], encoding="utf-8")
    with FakeTelegram(users=load(tmp_path / "users.json")) as fake:
        path = get_file(fake, fake.world.file_id(42, 160))["result"]["file_path"]
        assert Image.open(io.BytesIO(download(fake, path).content)).size == (160, 160)


def test_every_fault_is_documented_with_its_options() -> None:
    rows = {line.split("`")[1]: line for line in DOCUMENTATION.splitlines() if line.startswith("| `")}
    assert [name for name in FAULTS if name not in rows] == []
    options = [(name, option) for name, fault in FAULTS.items() for option in fault.options]
    assert [(name, option) for name, option in options if f"`{option}`" not in rows[name]] == []


def test_every_field_of_a_user_is_documented() -> None:
    assert [name for name in FIELDS if f"| `{name}` |" not in DOCUMENTATION] == []


# The command


def command(*switches: str) -> subprocess.Popen[str]:
    script = str(ROOT / "scripts" / "faketelegram")
    pipe, quiet = subprocess.PIPE, os.environ | {"PYTHONPATH": ""}
    return subprocess.Popen([sys.executable, script, *switches], stdout=pipe, stderr=pipe, text=True, env=quiet)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_says_where_it_listens_and_ends_cleanly(number: signal.Signals) -> None:
    with command("--port", "0", "--fault", "getMe=too-many-requests,times=1,retry_after=3") as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        answers = [requests.get(f"{url}/bot123456789:FAKE/getMe", timeout=PATIENCE).status_code for _ in range(2)]
        users = requests.get(f"{url}/_fake/users", timeout=PATIENCE).json()
        process.send_signal(number)
        rest, complaints = process.communicate(timeout=PATIENCE)
    assert (answers, len(users)) == ([429, 200], 24)
    assert (process.returncode, rest, complaints) == (0, "", "")


def test_the_command_lists_its_faults() -> None:
    with command("--list-faults") as process:
        listed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert [line.split()[0] for line in listed.splitlines()] == list(FAULTS)


def test_a_taken_port_is_one_line_and_exit_1(fake: FakeTelegram) -> None:
    with command("--port", str(fake.port)) as process:
        _, complaints = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert complaints == f"faketelegram: cannot listen on {fake.url}: the port is taken\n"


@pytest.mark.parametrize(
    ("switches", "named"),
    [
        (["--port", "high"], "--port"),
        (["--token", "nonsense"], "--token"),
        (["--latency-ms", "-5"], "--latency-ms"),
        (["--fault", "getMe=nonsense"], "nonsense"),
        (["--fault", "getMe=late,seconds=soon"], "seconds"),
        (["--users", "nowhere.json"], "nowhere.json"),
        (["--colour", "blue"], "--colour"),
    ],
)
def test_a_bad_switch_is_one_line_and_exit_2(
    switches: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(switches)
    complaints = capsys.readouterr().err
    assert ended.value.code == 2
    assert named in complaints
    assert complaints.count("\n") == 1


def test_a_bad_users_file_is_one_line_that_names_the_field(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text('[{"id": 42, "first_name": "Ann"}, {"id": 43, "first_name": 7}]')
    with command("--users", str(tmp_path / "users.json")) as process:
        _, complaints = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert complaints == "faketelegram: users[1].first_name: must be a text, not 7\n"
    with pytest.raises(FieldError, match=r"users\[1\]\.first_name"):
        load(tmp_path / "users.json")
