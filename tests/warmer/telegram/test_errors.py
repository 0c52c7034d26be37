"""BotApi: each error of Telegram becomes one of ours."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import responses

from tests.warmer.telegram.conftest import GET_FILE, GET_ME, GET_PHOTOS, PATH, Use, open_api, url_of
from warmer.deadline import Deadline
from warmer.errors import (
    DeadlineExceeded,
    InvalidFileId,
    NoPhoto,
    NotAFile,
    Paused,
    Permanent,
    TemporarilyUnavailable,
    TokenRejected,
    TooBig,
    Transient,
    UnknownRefusal,
    Unreachable,
    UpstreamFailed,
    WarmerError,
)
from warmer.telegram.client import DownloadUnauthorized, PathExpired

GET_CHAT: Use = lambda api: api.get_chat_photo(42, Deadline(60))  # noqa: E731
DOWNLOAD: Use = lambda api: api.download(PATH, Deadline(60))  # noqa: E731
USES = {
    "getMe": GET_ME,
    "getFile": GET_FILE,
    "getUserProfilePhotos": GET_PHOTOS,
    "getChat": GET_CHAT,
    "download": DOWNLOAD,
}
API_METHODS = [method for method in USES if method != "download"]


def refuse(
    mocked: responses.RequestsMock, method: str, status: int, description: str, retry_after: str = "", **more: Any
) -> None:
    """`retry_after`: the header."""
    body = {"ok": False, "error_code": status, "description": description, **more}
    mocked.get(url_of(method), json=body, status=status, headers={"Retry-After": retry_after} if retry_after else {})


@pytest.mark.parametrize(
    ("method", "status", "description", "expected"),
    [
        ("getFile", 400, "Bad Request: invalid file_id", InvalidFileId),
        ("getFile", 400, "Bad Request: wrong remote file identifier specified", UnknownRefusal),
        ("getFile", 400, "Bad Request: chat not found", UnknownRefusal),
        ("getFile", 400, "Bad Request: invalid file_id, or something else", UnknownRefusal),
        ("getFile", 400, "Bad Request: the upgrade is not found", UnknownRefusal),
        ("getFile", 403, "Forbidden: user is deactivated", UnknownRefusal),
        ("getFile", 403, "Forbidden: bot was kicked", UnknownRefusal),
        ("getChat", 400, "Bad Request: invalid file_id", UnknownRefusal),
        ("getMe", 400, "Bad Request: user not found", UnknownRefusal),
        ("getChat", 400, "", UnknownRefusal),
        ("getFile", 400, "Bad Request: wrong file_id or the file is temporarily unavailable", TemporarilyUnavailable),
        ("getChat", 400, "Bad Request: wrong file_id or the file is temporarily unavailable", UnknownRefusal),
        ("getFile", 400, "Bad Request: the service is temporarily unavailable", UnknownRefusal),
        ("getFile", 400, "Bad Request: file is too big", TooBig),
        ("getChat", 400, "Bad Request: user not found", NoPhoto),
        ("getChat", 403, "Forbidden: user is deactivated", NoPhoto),
        ("getUserProfilePhotos", 400, "Bad Request: user not found, maybe", UnknownRefusal),
        ("getChat", 400, "Bad Request: chat not found", NoPhoto),
        ("getChat", 400, "Bad Request: PEER_ID_INVALID", UnknownRefusal),
        ("getMe", 401, "Unauthorized", TokenRejected),
        ("getFile", 401, "Unauthorized", TokenRejected),
        ("getFile", 404, "Not Found", TokenRejected),
        ("getMe", 404, "Not Found", TokenRejected),
        ("getFile", 409, "Conflict", Unreachable),
        ("getFile", 500, "Internal Server Error", Unreachable),
        ("getFile", 302, "Found", Unreachable),
    ],
)
def test_each_error_of_a_method_has_its_exception(
    mocked: responses.RequestsMock, method: str, status: int, description: str, expected: type[WarmerError]
) -> None:
    refuse(mocked, method, status, description)
    with pytest.raises(WarmerError) as caught:
        USES[method](open_api())
    assert type(caught.value) is expected


@pytest.mark.parametrize("method", API_METHODS)
@pytest.mark.parametrize(
    ("status", "description", "trouble"),
    [
        (401, "Unauthorized", "unauthorized"),
        (404, "Not Found", "unauthorized"),
        (404, "Not Found: method not found", "unauthorized"),
        (400, "Logged out", "logged_out"),
        (401, "Logged out", "logged_out"),
        (400, "Bad Request: the bot has already been closed", "logged_out"),
        (400, "Bad Request: bot has already been closed", "logged_out"),
    ],
)
def test_an_error_about_the_bot_is_no_fact_about_a_picture(
    mocked: responses.RequestsMock, method: str, status: int, description: str, trouble: str
) -> None:
    refuse(mocked, method, status, description)
    with pytest.raises(TokenRejected) as caught:
        USES[method](open_api())
    assert caught.value.trouble == trouble


NOT_OF_TELEGRAM = [
    b"<html><title>Blocked</title>Bad Request: user not found</html>",
    b"",
    b"{}",
    b'{"ok": false, "description": "Bad Request: invalid file_id"}',
    b'{"ok": false, "error_code": 500, "description": "Bad Request: user not found"}',
    b'{"ok": false, "error_code": "400", "description": "Bad Request: user not found"}',
    b'{"error_code": 400, "description": "Logged out"}',
]


def test_an_answer_that_telegram_did_not_write_is_unreachable(mocked: responses.RequestsMock) -> None:
    api, wrong = open_api(), []
    for method, status, body in product(API_METHODS, (400, 401, 403, 404, 409, 413, 451), NOT_OF_TELEGRAM):
        mocked.get(url_of(method), body=body, status=status)
        with pytest.raises(WarmerError) as caught:
            USES[method](api)
        if not isinstance(caught.value, Unreachable):
            wrong.append((method, status, body, caught.value))
        mocked.reset()
    assert wrong == []


@pytest.mark.parametrize(
    ("status", "description"),
    [
        (400, "Bad Request: user not found"),
        (400, "Bad Request: chat not found"),
        (403, "Forbidden: user is deactivated"),
    ],
)
def test_a_user_without_profile_photos_gives_an_empty_list_so_that_get_chat_is_asked(
    mocked: responses.RequestsMock, status: int, description: str
) -> None:
    refuse(mocked, "getUserProfilePhotos", status, description)
    assert open_api().get_profile_photo(42, Deadline(60)) == []


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, DownloadUnauthorized), (404, PathExpired), (429, Paused), (403, Unreachable), (500, Unreachable)],
)
def test_each_error_of_a_download_has_its_exception(
    mocked: responses.RequestsMock, status: int, expected: type[WarmerError]
) -> None:
    refuse(mocked, "download", status, "no")
    with pytest.raises(Transient) as caught:
        DOWNLOAD(open_api())
    assert type(caught.value) is expected


@pytest.mark.parametrize("body", ["", "blocked by the administrator", "<!doctype html>" + "\xfc" * 600, '{"error": 1}'])
@pytest.mark.parametrize("content_type", ["image/jpeg", "text/html"])
def test_text_instead_of_a_file_is_told_from_an_outage(
    mocked: responses.RequestsMock, body: str, content_type: str
) -> None:
    mocked.get(url_of("download"), body=body.encode("latin-1"), content_type=content_type)
    with pytest.raises(NotAFile):
        DOWNLOAD(open_api())


def test_final_errors_are_permanent_and_temporary_ones_transient() -> None:
    for_good = (InvalidFileId, TooBig, NoPhoto)
    passing = (TemporarilyUnavailable, TokenRejected, Paused, UpstreamFailed, DeadlineExceeded)
    assert [kind for kind in for_good if not issubclass(kind, Permanent)] == []
    assert [kind for kind in passing if not issubclass(kind, Transient)] == []


@pytest.mark.parametrize("method", USES)
@pytest.mark.parametrize(
    ("header", "body"), [("999", {"parameters": {"retry_after": 8}}), ("8", {}), ("8", {"parameters": {}})]
)
def test_a_429_carries_the_seconds_that_its_body_asks_for_or_else_its_header(
    mocked: responses.RequestsMock, method: str, header: str, body: dict[str, Any]
) -> None:
    refuse(mocked, method, 429, "Too Many Requests: retry after 8", header, **body)
    with pytest.raises(Paused) as caught:
        USES[method](open_api())
    assert caught.value.retry_after == 8


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 1),
        ("8", 8),
        ("86400", 60),
        ("9" * 30, 60),
        *((odd, 1) for odd in ("-8", "8.5", "8, 8", "Fri, 04 Dec 2026 10:00:00 GMT")),
    ],
)
def test_a_429_of_a_proxy_has_the_seconds_of_its_header_within_reason(
    mocked: responses.RequestsMock, header: str, seconds: float
) -> None:
    mocked.get(url_of("getFile"), body="<html>", status=429, headers={"Retry-After": header})
    with pytest.raises(Paused) as caught:
        GET_FILE(open_api())
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("body", [{}, {"ok": True}, {"ok": False}, {"ok": False, "error_code": 420}])
def test_seconds_that_telegram_did_not_write_are_a_minute_at_most(
    mocked: responses.RequestsMock, body: dict[str, Any]
) -> None:
    mocked.get(url_of("getFile"), json={"parameters": {"retry_after": 86_400}} | body, status=429)
    with pytest.raises(Paused) as caught:
        GET_FILE(open_api())
    assert caught.value.retry_after == 60


def test_a_429_of_telegram_has_the_seconds_of_its_header_up_to_an_hour(mocked: responses.RequestsMock) -> None:
    refuse(mocked, "getFile", 429, "Too Many Requests", "86400")
    with pytest.raises(Paused) as caught:
        GET_FILE(open_api())
    assert caught.value.retry_after == 3600


ODD_SECONDS: list[Any] = [-5, 0, "8", None, float("nan"), [], {}]


@pytest.mark.parametrize(
    ("parameters", "seconds"),
    [
        (None, 1), ([], 1), ({}, 1), *(({"retry_after": odd}, 1) for odd in ODD_SECONDS),
        ({"retry_after": 2.5}, 2.5), *(({"retry_after": long}, 3600) for long in (10**9, 10**400, float("inf"))),
    ],
)  # fmt: skip
def test_a_malformed_retry_after_gives_a_sensible_pause(
    mocked: responses.RequestsMock, parameters: Any, seconds: float
) -> None:
    refuse(mocked, "getFile", 429, "Too Many Requests", parameters=parameters)
    with pytest.raises(Paused) as caught:
        GET_FILE(open_api())
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    "body",
    [
        "", "<html>", "[]", "null", "{}", '{"ok": true}', '{"ok": true, "result": []}', '{"ok": 1', "\xff\xfe",
        "[" * 100_000,
    ],
)  # fmt: skip
def test_a_malformed_answer_is_transient(mocked: responses.RequestsMock, body: str) -> None:
    mocked.get(url_of("getMe"), body=body.encode("latin-1"), status=200)
    with pytest.raises(Unreachable):
        GET_ME(open_api())
