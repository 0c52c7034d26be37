"""BotApi: Telegram's answers become ours, in bounded time, and the token never leaves it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import responses
from pydantic import SecretStr
from responses import matchers

import warmer
from faketelegram import TEST_TOKEN, FakeTelegram
from tests.conftest import make_picture, next_id
from tests.support.clock import Clock
from warmer.deadline import Deadline
from warmer.errors import (
    DeadlineExceeded,
    InvalidFileId,
    NoPhoto,
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
from warmer.photo import Bot, FilePath, PhotoSize
from warmer.telegram.client import MAX_PHOTO_BYTES, BotApi, DownloadUnauthorized, PathExpired
from warmer.telegram.connections import Server

ROOT = "https://api.telegram.org"
FILE_ID = "AgACAgIAAxkBAAIBcGabcdefghijklmnopqrstuvwxyz0123456789"
PATH = FilePath("photos/file_1.jpg", "AQAD")
Calls = list[tuple[str, str, float]]
Use = Callable[[BotApi], object]

GET_ME: Use = lambda api: api.get_me(Deadline(60))  # noqa: E731
GET_FILE: Use = lambda api: api.get_file(FILE_ID, Deadline(60))  # noqa: E731
GET_PHOTOS: Use = lambda api: api.get_profile_photo(42, Deadline(60))  # noqa: E731
GET_CHAT: Use = lambda api: api.get_chat_photo(42, Deadline(60))  # noqa: E731
DOWNLOAD: Use = lambda api: api.download(PATH, Deadline(60))  # noqa: E731
USES = {
    "getMe": GET_ME,
    "getFile": GET_FILE,
    "getUserProfilePhotos": GET_PHOTOS,
    "getChat": GET_CHAT,
    "download": DOWNLOAD,
}


_opened: list[BotApi] = []


def open_api(url: str = ROOT, calls: Calls | None = None, token: str = TEST_TOKEN) -> BotApi:
    def note(method: str, outcome: str, seconds: float) -> None:
        if calls is not None:
            calls.append((method, outcome, seconds))

    _opened.append(BotApi(SecretStr(token), Server(url), connections=4, on_call=note))
    return _opened[-1]


@pytest.fixture(autouse=True)
def _close_clients() -> Iterator[None]:
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


def refuse(mocked: responses.RequestsMock, method: str, status: int, description: str, **more: Any) -> None:
    body = {"ok": False, "error_code": status, "description": description, **more}
    mocked.get(url_of(method), json=body, status=status)


def add_file(telegram: FakeTelegram, data: bytes) -> str:
    return telegram.world.add_file(data)


# The error table


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
        ("getChat", 400, "Bad Request: wrong file_id or the file is temporarily unavailable", TemporarilyUnavailable),
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
        ("getFile", 409, "Conflict", UpstreamFailed),
        ("getFile", 500, "Internal Server Error", Unreachable),
        ("getFile", 302, "Found", UpstreamFailed),
    ],
)
def test_each_error_of_a_method_has_its_exception(
    mocked: responses.RequestsMock, method: str, status: int, description: str, expected: type[WarmerError]
) -> None:
    refuse(mocked, method, status, description)
    with pytest.raises(WarmerError) as caught:
        USES[method](open_api())
    assert type(caught.value) is expected


@pytest.mark.parametrize("method", ["getMe", "getFile", "getUserProfilePhotos", "getChat"])
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


@pytest.mark.parametrize("method", ["getMe", "getFile", "getUserProfilePhotos", "getChat"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 451])
@pytest.mark.parametrize(
    "body",
    [
        b"<html><title>Blocked</title>Bad Request: user not found</html>",
        b"",
        b"{}",
        b'{"ok": false, "description": "Bad Request: invalid file_id"}',
        b'{"ok": false, "error_code": 500, "description": "Bad Request: user not found"}',
        b'{"ok": false, "error_code": "400", "description": "Bad Request: user not found"}',
        b'{"error_code": 400, "description": "Logged out"}',
    ],
)
def test_an_answer_that_telegram_did_not_write_is_unreachable(
    mocked: responses.RequestsMock, method: str, status: int, body: bytes
) -> None:
    mocked.get(url_of(method), body=body, status=status)
    with pytest.raises(Unreachable):
        USES[method](open_api())


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


def test_final_errors_are_permanent_and_temporary_ones_transient() -> None:
    for_good = (InvalidFileId, TooBig, NoPhoto)
    passing = (TemporarilyUnavailable, TokenRejected, Paused, UpstreamFailed, DeadlineExceeded)
    assert [kind for kind in for_good if not issubclass(kind, Permanent)] == []
    assert [kind for kind in passing if not issubclass(kind, Transient)] == []


@pytest.mark.parametrize("method", ["getFile", "download", "getMe", "getChat", "getUserProfilePhotos"])
def test_a_429_carries_the_seconds_that_telegram_asks_for(mocked: responses.RequestsMock, method: str) -> None:
    refuse(mocked, method, 429, "Too Many Requests: retry after 8", parameters={"retry_after": 8})
    with pytest.raises(Paused) as caught:
        USES[method](open_api())
    assert caught.value.retry_after == 8


@pytest.mark.parametrize(
    ("parameters", "seconds"),
    [
        ({}, 1),
        ({"retry_after": 0}, 1),
        ({"retry_after": 10**9}, 3600),
        ({"retry_after": "8"}, 1),
        (None, 1),
        ([], 1),
        ({"retry_after": float("nan")}, 1),
    ],
)
def test_a_malformed_retry_after_gives_a_sensible_pause(
    mocked: responses.RequestsMock, parameters: Any, seconds: float
) -> None:
    refuse(mocked, "getFile", 429, "Too Many Requests", parameters=parameters)
    with pytest.raises(Paused) as caught:
        GET_FILE(open_api())
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("method", ["getMe", "getFile", "download"])
def test_a_502_with_an_html_body_is_transient(mocked: responses.RequestsMock, method: str) -> None:
    mocked.get(url_of(method), body="<html>502 Bad Gateway</html>", status=502, content_type="text/html")
    with pytest.raises(UpstreamFailed, match="502"):
        USES[method](open_api())


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        "[]",
        "null",
        "{}",
        '{"ok": true}',
        '{"ok": true, "result": []}',
        '{"ok": 1',
        "\xff\xfe",
        "[" * 100_000,
    ],
)
def test_a_malformed_answer_is_transient(mocked: responses.RequestsMock, body: str) -> None:
    mocked.get(url_of("getMe"), body=body.encode("latin-1"), status=200)
    with pytest.raises(UpstreamFailed):
        GET_ME(open_api())


# Results of the methods


def test_get_me_returns_the_bot(mocked: responses.RequestsMock) -> None:
    mocked.get(
        url_of("getMe"), json={"ok": True, "result": {"id": 1, "first_name": "Bo", "username": "bo_bot", "new": 1}}
    )
    assert open_api().get_me(Deadline(60)) == Bot("Bo", "bo_bot")


def test_the_sizes_of_the_newest_photo_are_read(api: BotApi, telegram: FakeTelegram) -> None:
    telegram.world.add_user(user_id := next_id(), "Ann", picture=make_picture())
    sizes = api.get_profile_photo(user_id, Deadline(60))
    assert [size.width for size in sizes] == [160, 320, 640]
    assert sizes[1].file_id == telegram.world.file_id(user_id, 320)
    assert len({size.unique_id for size in sizes}) == 3


def test_no_photo_is_an_empty_list(api: BotApi, telegram: FakeTelegram) -> None:
    telegram.world.add_user(user_id := next_id(), "Ann", picture=None)
    assert api.get_profile_photo(user_id, Deadline(60)) == []
    assert api.get_chat_photo(user_id, Deadline(60)) == []


def test_the_photo_of_a_chat_has_two_sizes(api: BotApi, telegram: FakeTelegram) -> None:
    telegram.world.add_chat(chat_id := -next_id(), "Us", picture=make_picture())
    assert [size.width for size in api.get_chat_photo(chat_id, Deadline(60))] == [160, 640]


@pytest.mark.parametrize(
    "size",
    [
        {},
        {"file_id": FILE_ID},
        {"file_id": "http://elsewhere/a.jpg", "file_unique_id": "u", "width": 1},
        {"file_id": FILE_ID, "file_unique_id": "u", "width": "160"},
        7,
        {"file_id": FILE_ID, "width": 160},
    ],
)
def test_a_malformed_photo_is_transient(mocked: responses.RequestsMock, size: Any) -> None:
    mocked.get(url_of("getUserProfilePhotos"), json={"ok": True, "result": {"total_count": 1, "photos": [[size]]}})
    with pytest.raises(UpstreamFailed):
        GET_PHOTOS(open_api())


@pytest.mark.parametrize("photos", [[], [[]]])
def test_empty_lists_of_photos_mean_no_photo(mocked: responses.RequestsMock, photos: Any) -> None:
    mocked.get(url_of("getUserProfilePhotos"), json={"ok": True, "result": {"total_count": 0, "photos": photos}})
    assert open_api().get_profile_photo(42, Deadline(60)) == []


@pytest.mark.parametrize("photos", [None, {}, [None], "photos", [{}]])
def test_malformed_lists_of_photos_are_transient(mocked: responses.RequestsMock, photos: Any) -> None:
    mocked.get(url_of("getUserProfilePhotos"), json={"ok": True, "result": {"total_count": 0, "photos": photos}})
    with pytest.raises(UpstreamFailed):
        GET_PHOTOS(open_api())


def test_an_answer_that_contains_the_token_is_refused(mocked: responses.RequestsMock) -> None:
    mocked.get(url_of("getMe"), json={"ok": True, "result": {"first_name": url_of("getMe"), "username": "bo_bot"}})
    with pytest.raises(UpstreamFailed):
        GET_ME(open_api())


def test_unknown_fields_of_a_photo_are_ignored(mocked: responses.RequestsMock) -> None:
    size = {"file_id": FILE_ID, "file_unique_id": "u", "width": 160, "height": 160, "new": 1}
    mocked.get(url_of("getUserProfilePhotos"), json={"ok": True, "result": {"photos": [[size]]}})
    assert open_api().get_profile_photo(42, Deadline(60)) == [PhotoSize(FILE_ID, "u", 160)]


def test_a_file_is_downloaded_from_the_path_of_get_file(api: BotApi, telegram: FakeTelegram) -> None:
    file_id = add_file(telegram, b"some bytes")
    assert api.download(api.get_file(file_id, Deadline(60)), Deadline(60)) == b"some bytes"


@pytest.mark.parametrize(
    "fault",
    [
        "no-file-path",
        "absolute-file-path",
        "dotdot-file-path",
        "scheme-file-path",
        "double-slash-file-path",
        "crlf-file-path",
    ],
)
def test_a_path_that_could_lead_elsewhere_is_refused(api: BotApi, telegram: FakeTelegram, fault: str) -> None:
    telegram.fail("getFile", fault)
    with pytest.raises(TemporarilyUnavailable):
        api.get_file(add_file(telegram, b"x"), Deadline(60))


@pytest.mark.parametrize("path", ["a?b=c", "a#b", "a%2e%2e/b", "a\\b", "a{token}b", "", " \n", "a" * 513, 7, ["a"]])
def test_a_path_with_other_characters_is_refused(mocked: responses.RequestsMock, path: Any) -> None:
    mocked.get(url_of("getFile"), json={"ok": True, "result": {"file_id": FILE_ID, "file_path": path}})
    with pytest.raises(TemporarilyUnavailable):
        GET_FILE(open_api())


def test_the_path_is_quoted(mocked: responses.RequestsMock) -> None:
    mocked.get(f"{ROOT}/file/bot{TEST_TOKEN}/my%20photos/file_1.jpg", body=b"x")
    assert open_api().download(FilePath("my photos/file_1.jpg", ""), Deadline(60)) == b"x"


# The network


@pytest.mark.parametrize("fault", ["connection-reset", "truncated-body", "bad-gateway", "redirect"])
@pytest.mark.parametrize("method", ["getFile", "download"])
def test_a_broken_answer_is_transient(api: BotApi, telegram: FakeTelegram, method: str, fault: str) -> None:
    path = api.get_file(file_id := add_file(telegram, bytes(1000)), Deadline(60))
    telegram.fail(method, fault, times=2)  # one reset of a connection that was used before is retried
    with pytest.raises(UpstreamFailed):
        api.get_file(file_id, Deadline(60)) if method == "getFile" else api.download(path, Deadline(60))


def test_a_redirect_is_not_followed(api: BotApi, telegram: FakeTelegram) -> None:
    elsewhere = f"{telegram.url}/bot{TEST_TOKEN}/getChat"
    telegram.fail("getMe", "redirect", location=elsewhere)
    with pytest.raises(UpstreamFailed, match="302"):
        api.get_me(Deadline(60))
    assert telegram.calls == {"getMe": 1}


@pytest.mark.parametrize("fault", ["oversize", "oversize-chunked"])
def test_more_than_ten_mebibytes_are_refused_with_and_without_a_length(
    api: BotApi, telegram: FakeTelegram, fault: str
) -> None:
    path = api.get_file(add_file(telegram, b"x"), Deadline(60))
    telegram.fail("download", fault)
    with pytest.raises(TooBig):
        api.download(path, Deadline(60))


def test_ten_mebibytes_are_accepted(api: BotApi, telegram: FakeTelegram) -> None:
    path = api.get_file(add_file(telegram, b"x"), Deadline(60))
    telegram.fail("download", "oversize", size=MAX_PHOTO_BYTES)
    assert len(api.download(path, Deadline(60))) == MAX_PHOTO_BYTES


def test_an_answer_of_a_method_has_its_own_size_limit(api: BotApi, telegram: FakeTelegram) -> None:
    telegram.fail("getMe", "oversize", size=2**20 + 1)
    with pytest.raises(UpstreamFailed):  # the file is not too big
        api.get_me(Deadline(60))


def test_a_refused_body_does_not_affect_the_next_call(api: BotApi, telegram: FakeTelegram) -> None:
    path = api.get_file(add_file(telegram, b"x"), Deadline(60))
    telegram.fail("download", "oversize-chunked")
    with pytest.raises(TooBig):
        api.download(path, Deadline(60))
    assert api.download(path, Deadline(60)) == b"x"


@pytest.mark.parametrize("method", ["getMe", "download"])
@pytest.mark.parametrize("fault", ["slow-headers", "slow-body", "hang"])
def test_a_call_ends_at_its_total_deadline(api: BotApi, telegram: FakeTelegram, method: str, fault: str) -> None:
    path = api.get_file(add_file(telegram, bytes(1000)), Deadline(60))
    telegram.fail(method, fault)
    with pytest.raises(DeadlineExceeded if fault.startswith("slow") else (DeadlineExceeded, UpstreamFailed)):
        api.get_me(Deadline(0.3)) if method == "getMe" else api.download(path, Deadline(0.3))


def test_no_single_timeout_of_a_call_exceeds_its_deadline(mocked: responses.RequestsMock) -> None:
    me = {"ok": True, "result": {"id": 1, "first_name": "Bo", "username": "bo_bot"}}
    for seconds, connect, read in ((60, 5, 10), (7, 5, 7), (3, 3, 3)):
        timeout = matchers.request_kwargs_matcher({"timeout": (connect, read)})
        mocked.get(url_of("getMe"), json=me, match=[timeout])
        assert open_api().get_me(Deadline(seconds, Clock()))


def test_a_cut_call_does_not_affect_other_calls(api: BotApi, telegram: FakeTelegram) -> None:
    telegram.fail("getMe", "slow-headers")
    with pytest.raises(DeadlineExceeded):
        api.get_me(Deadline(0.3))
    assert api.get_me(Deadline(60)).username


def test_after_the_deadline_no_call_is_made(api: BotApi, telegram: FakeTelegram) -> None:
    with pytest.raises(DeadlineExceeded):
        api.get_me(Deadline(-1))
    assert not telegram.calls


def test_connections_are_reused(api: BotApi, telegram: FakeTelegram) -> None:
    for _ in range(5):
        api.get_me(Deadline(60))
    assert telegram.connections == 1


def test_a_refused_connection_is_transient() -> None:
    with pytest.raises(UpstreamFailed):
        open_api("http://127.0.0.1:1").get_me(Deadline(60))


def test_proxy_variables_of_the_environment_are_ignored(
    api: BotApi, telegram: FakeTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:1")
    assert api.get_me(Deadline(60)).username


def test_every_call_is_reported_with_its_outcome(telegram: FakeTelegram) -> None:
    calls: Calls = []
    api = open_api(telegram.url, calls)
    telegram.fail("getMe", "too-many-requests")
    telegram.fail("getMe", "connection-reset", times=2)
    for expected in (Paused, UpstreamFailed):
        with pytest.raises(expected):
            api.get_me(Deadline(60))
    api.get_me(Deadline(60))
    assert [(method, outcome) for method, outcome, _ in calls] == [
        ("getMe", "429"),
        ("getMe", "Unreachable"),
        ("getMe", "200"),
    ]


# The token


def list_context(error: BaseException | None) -> Iterator[BaseException]:
    """Yields the error and its causes."""
    while error:
        yield error
        error = error.__cause__ or error.__context__


OURS = str(Path(warmer.__file__).parent)


def show_all(error: BaseException) -> str:
    """Returns all that a log, a debugger or a task monitor could show of an error, with locals of our frames."""
    shown = [part for one in list_context(error) for part in (str(one), repr(one), repr(one.args), repr(vars(one)))]
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    locals_of_ours = [repr(frame.locals) for frame in told.stack if frame.filename.startswith(OURS)]
    return "\n".join([*shown, *locals_of_ours, *traceback.format_exception(error)])


@pytest.mark.parametrize(
    "fault",
    [
        "connection-reset",
        "truncated-body",
        "slow-headers",
        "slow-body",
        "hang",
        "redirect",
        "bad-gateway",
        "unauthorized",
        "not-found",
        "too-many-requests",
        "oversize",
        "oversize-chunked",
        "temporarily-unavailable",
        "internal-error",
    ],
)
@pytest.mark.parametrize("method", ["getMe", "download"])
def test_no_failure_reveals_the_token(
    api: BotApi, telegram: FakeTelegram, caplog: pytest.LogCaptureFixture, method: str, fault: str
) -> None:
    path = api.get_file(add_file(telegram, bytes(1000)), Deadline(60))
    options: dict[str, Any] = {"location": f"{telegram.url}/bot{TEST_TOKEN}/x"} if fault == "redirect" else {}
    telegram.fail(method, fault, times=2, **options)
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "urllib3")
    with pytest.raises(WarmerError) as caught:
        api.get_me(Deadline(0.2)) if method == "getMe" else api.download(path, Deadline(0.2))
    assert TEST_TOKEN not in show_all(caught.value) + caplog.text
    assert all(isinstance(one, WarmerError) for one in list_context(caught.value))


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid", "https://127.0.0.1:1"])
def test_no_failure_to_connect_reveals_the_token(url: str) -> None:
    with pytest.raises(UpstreamFailed) as caught:
        open_api(url).get_me(Deadline(60))
    assert TEST_TOKEN not in show_all(caught.value)


def test_plain_http_where_tls_is_expected_does_not_reveal_the_token(telegram: FakeTelegram) -> None:
    with pytest.raises(UpstreamFailed) as caught:
        open_api(telegram.url.replace("http:", "https:")).get_me(Deadline(60))
    assert TEST_TOKEN not in show_all(caught.value)


def test_the_repr_of_the_client_does_not_reveal_the_token(api: BotApi) -> None:
    assert TEST_TOKEN not in repr(api) + repr(vars(api))
