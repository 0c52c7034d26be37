"""The fake answers as Telegram does."""

from __future__ import annotations

import io
import json
import re
from http import HTTPStatus

import pytest
import requests
from PIL import Image

from faketelegram import FakeTelegram, UnknownAccountError
from tests.scripts.faketelegram.calling import PATIENCE, call, download, get_file, path_of
from tests.support.raw_http import exchange, head

AS_JSON = {"Content-Type": "application/json"}
FILE_ID = re.compile(r"[A-Za-z0-9_-]{56,100}")


def test_get_me_names_the_bot_of_the_token(fake: FakeTelegram) -> None:
    me = call(fake, "getMe")["result"]
    assert (me["id"], me["is_bot"]) == (123456789, True)


def test_a_photo_has_three_sizes_with_different_ids(fake: FakeTelegram) -> None:
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
def test_downloads_are_square_jpegs_of_realistic_size(fake: FakeTelegram, width: int, least: int, most: int) -> None:
    answer = download(fake, path_of(fake, width))
    image = Image.open(io.BytesIO(answer.content))
    assert (image.format, image.size) == ("JPEG", (width, width))
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert least * 1000 < len(answer.content) < most * 1000


def test_parameters_are_accepted_as_query_form_json_or_multipart(fake: FakeTelegram) -> None:
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


@pytest.mark.parametrize("length", ["-5", "+5", "abc", "5, 5", "0x5", "\xb2", "9" * 30])
def test_a_malformed_length_gets_400_and_the_body_is_no_next_request(fake: FakeTelegram, length: str) -> None:
    path = f"/bot{fake.token}/getMe HTTP/1.1"
    (answer,) = exchange(fake.url, head(f"POST {path}", f"Content-Length: {length}") + head(f"GET {path}"))
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert json.loads(answer.body)["description"] == "Bad Request: can't parse the request: Content-Length"
    assert not fake.calls


@pytest.mark.parametrize(
    ("body", "statuses"),
    [(b"4\r\nuser\r\n6\r\n_id=42\r\n0\r\n\r\n", [200, 200]), (b"a;x=1\r\nuser_id=42\r\n0\r\n\r\n", [400]),
     (b"a\r\nuser_id=42\r\n0\r\nX-Last: 1\r\n\r\n", [400]), (b"zz\r\nuser_id=42\r\n0\r\n\r\n", [400])],
)  # fmt: skip
def test_a_body_in_chunks_is_read_without_extensions_and_trailers(
    fake: FakeTelegram, body: bytes, statuses: list[int]
) -> None:
    path = f"/bot{fake.token}/getUserProfilePhotos HTTP/1.1"
    fields = ["Transfer-Encoding: chunked", "Content-Type: application/x-www-form-urlencoded"]
    answers = exchange(
        fake.url, head(f"POST {path}", *fields) + body + head(f"GET {path.replace(' ', '?user_id=42 ')}")
    )
    assert [answer.status for answer in answers] == statuses


def test_method_names_are_case_insensitive_and_counted_by_their_canonical_name(fake: FakeTelegram) -> None:
    assert call(fake, "GETME")["ok"]
    assert fake.calls == {"getMe": 1}


def test_offset_and_limit_page_through_photos_newest_first(fake: FakeTelegram) -> None:
    first = fake.world.file_id(42)
    fake.world.change_photo(42)
    newest = call(fake, "getUserProfilePhotos", user_id=42, limit=1)["result"]
    older = call(fake, "getUserProfilePhotos", user_id=42, offset=1)["result"]
    assert newest["total_count"] == 2
    assert newest["photos"][0][1]["file_id"] == fake.world.file_id(42) != first
    assert [photo[1]["file_id"] for photo in older["photos"]] == [first]


def test_get_chat_gives_other_file_ids_for_the_same_pictures(fake: FakeTelegram) -> None:
    photo = call(fake, "getChat", chat_id=42)["result"]["photo"]
    small, _, big = call(fake, "getUserProfilePhotos", user_id=42)["result"]["photos"][0]
    assert photo["small_file_unique_id"] == small["file_unique_id"]
    assert photo["big_file_unique_id"] == big["file_unique_id"]
    assert photo["small_file_id"] != small["file_id"]
    assert get_file(fake, photo["big_file_id"])["ok"]


def test_only_the_ids_from_get_chat_become_invalid_when_the_photo_changes(fake: FakeTelegram) -> None:
    from_chat = call(fake, "getChat", chat_id=42)["result"]["photo"]["big_file_id"]
    from_profile = fake.world.file_id(42)
    fake.world.change_photo(42)
    assert get_file(fake, from_chat)["description"] == "Bad Request: invalid file_id"
    assert get_file(fake, from_profile)["ok"]


def test_a_public_photo_appears_only_in_get_chat(fake: FakeTelegram) -> None:
    fake.world.add_user(43, "Bob", public_only=True)
    assert call(fake, "getUserProfilePhotos", user_id=43)["result"] == {"total_count": 0, "photos": []}
    assert call(fake, "getChat", chat_id=43)["result"]["photo"]["big_file_id"] == fake.world.file_id(43)


def test_a_hidden_photo_looks_like_no_photo_until_it_is_shown_again(fake: FakeTelegram) -> None:
    fake.world.hide_photo(42)
    assert call(fake, "getUserProfilePhotos", user_id=42)["result"] == {"total_count": 0, "photos": []}
    assert "photo" not in call(fake, "getChat", chat_id=42)["result"]
    fake.world.show_photo(42)
    assert get_file(fake, call(fake, "getChat", chat_id=42)["result"]["photo"]["small_file_id"])["ok"]


def test_groups_and_channels_have_negative_ids_and_user_names(fake: FakeTelegram) -> None:
    fake.world.add_chat(-1001234567890, "News", kind="channel", username="our_news")
    by_id = call(fake, "getChat", chat_id=-1001234567890)["result"]
    assert (by_id["type"], by_id["title"]) == ("channel", "News")
    assert by_id == call(fake, "getChat", chat_id="@our_news")["result"]
    assert get_file(fake, by_id["photo"]["small_file_id"])["ok"]


def test_a_path_stays_the_same_until_it_expires(fake: FakeTelegram) -> None:
    path = path_of(fake)
    assert path_of(fake) == path == "photos/file_0.jpg"
    fake.world.expire_paths()
    assert download(fake, path).status_code == 404
    assert path_of(fake) == "photos/file_1.jpg"


def test_given_bytes_are_served_unchanged(fake: FakeTelegram) -> None:
    fake.world.add_user(43, "Bob", picture=b"not even an image")
    for file_id, data in ((fake.world.file_id(43), b"not even an image"), (fake.world.add_file(b"123"), b"123")):
        path = get_file(fake, file_id)["result"]["file_path"]
        assert download(fake, path).content == data


@pytest.mark.parametrize(
    ("method", "params", "code", "description"),
    [
        ("getUserProfilePhotos", {"user_id": 7}, 400, "user not found"),
        ("getUserProfilePhotos", {}, 400, "invalid user_id specified"),
        ("getUserProfilePhotos", {"user_id": 44}, 403, "user is deactivated"),
        ("getChat", {"chat_id": 7}, 400, "chat not found"),
        ("getChat", {"chat_id": "@nobody"}, 400, "chat not found"),
        ("getChat", {}, 400, "chat_id is empty"),
        ("getChat", {"chat_id": 44}, 403, "user is deactivated"),
        ("getFile", {"file_id": "https://a.b/c"}, 400, "invalid file_id"),
        ("getFile", {}, 400, "file_id not specified"),
        ("sendDice", {"chat_id": 42}, 404, "method not found"),
        ("sendPhoto", {"chat_id": 42}, 400, "there is no photo in the request"),
        ("sendPhoto", {"chat_id": 7, "photo": "AgAC"}, 400, "chat not found"),
        ("sendPhoto", {"chat_id": 42, "photo": "http://a.b/c"}, 400, "failed to get HTTP URL content"),
        ("sendPhoto", {"chat_id": 42, "photo": "x", "caption": "x" * 1025}, 400, "message caption is too long"),
        ("sendChatAction", {"chat_id": 42, "action": "dance"}, 400, "wrong parameter action in request"),
        ("sendChatAction", {"chat_id": 44, "action": "typing"}, 403, "user is deactivated"),
        ("setWebhook", {"url": "not a url"}, 400, "invalid webhook URL specified"),
        ("setWebhook", {"url": "http://a.b/c"}, 400, "bad webhook: An HTTPS URL must be provided for webhook"),
        (
            "setWebhook",
            {"url": "https://a.b", "secret_token": "no spaces"},
            400,
            "secret token contains unallowed characters",
        ),
        ("setWebhook", {"url": "https://a.b", "secret_token": "x" * 257}, 400, "secret token is too long"),
        ("setMyCommands", {"commands": "{"}, 400, "can't parse commands JSON object"),
        ("setMyCommands", {"commands": "{}"}, 400, "expected an Array of BotCommand"),
        ("setMyCommands", {"commands": '[{"command": "No!", "description": "x"}]'}, 400, "BOT_COMMAND_INVALID"),
        (
            "getMyCommands",
            {"scope": '{"type": "friends"}'},
            400,
            "can't parse BotCommandScope: Unsupported type specified",
        ),
        (
            "setChatMenuButton",
            {"menu_button": '{"type": "dance"}'},
            400,
            "can't parse menu button: MenuButton has unsupported type",
        ),
        ("setChatMenuButton", {"chat_id": 7}, 400, "user not found"),
    ],
)
def test_error_descriptions_match_those_of_telegram(
    fake: FakeTelegram, method: str, params: dict[str, str | int], code: int, description: str
) -> None:
    fake.world.add_user(44, "Gone")
    fake.world.deactivate(44)
    answer = requests.get(f"{fake.url}/bot{fake.token}/{method}", params=params, timeout=PATIENCE)
    assert answer.status_code == code
    description = f"{HTTPStatus(code).phrase}: {description}"
    assert answer.json() == {"ok": False, "error_code": code, "description": description}


def test_removing_a_user_also_removes_the_files(fake: FakeTelegram) -> None:
    file_id = fake.world.file_id(42)
    fake.world.remove_user(42)
    assert get_file(fake, file_id)["error_code"] == 400
    with pytest.raises(UnknownAccountError, match="42"):
        fake.world.change_photo(42)


def test_a_file_over_20_megabytes_is_too_big(fake: FakeTelegram) -> None:
    file_id = fake.world.add_file(bytes(20 * 1024 * 1024 + 1))
    assert get_file(fake, file_id)["description"] == "Bad Request: file is too big"


@pytest.mark.parametrize(("token", "code"), [("123456789:WRONG", 401), ("nonsense", 404)])
def test_a_wrong_token_gets_401_and_a_malformed_one_404(fake: FakeTelegram, token: str, code: int) -> None:
    assert requests.get(f"{fake.url}/bot{token}/getMe", timeout=PATIENCE).status_code == code
    assert requests.get(f"{fake.url}/file/bot{token}/photos/file_0.jpg", timeout=PATIENCE).status_code == code
