"""BotApi: the results of the methods, in bounded time and size."""

from __future__ import annotations

from typing import Any

import pytest
import responses
from responses import matchers

from faketelegram import TEST_TOKEN, FakeTelegram
from tests.conftest import make_picture, next_id
from tests.support.clock import Clock
from tests.support.servers import OneAnswer
from tests.warmer.telegram.conftest import (
    FILE_ID,
    GET_FILE,
    GET_ME,
    GET_PHOTOS,
    ME,
    ROOT,
    Calls,
    add_file,
    open_api,
    url_of,
)
from warmer.deadline import Deadline
from warmer.errors import DeadlineExceeded, Paused, TemporarilyUnavailable, TooBig, Unreachable, UpstreamFailed
from warmer.photo import Bot, FilePath, PhotoSize
from warmer.telegram.client import MAX_PHOTO_BYTES, BotApi


def test_get_me_returns_the_bot(mocked: responses.RequestsMock) -> None:
    mocked.get(url_of("getMe"), json={"ok": True, "result": ME["result"] | {"new": 1}})
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


@pytest.mark.parametrize("photos", [[], [[]]])
def test_empty_lists_of_photos_mean_no_photo(mocked: responses.RequestsMock, photos: Any) -> None:
    mocked.get(url_of("getUserProfilePhotos"), json={"ok": True, "result": {"total_count": 0, "photos": photos}})
    assert open_api().get_profile_photo(42, Deadline(60)) == []


GOOD_SIZE: dict[str, Any] = {"file_id": FILE_ID, "file_unique_id": "u", "width": 160}
ODD_SIZES: list[Any] = [
    *[GOOD_SIZE | {"file_id": "http://elsewhere/a.jpg"}, GOOD_SIZE | {"file_unique_id": None}],
    *[GOOD_SIZE | {"width": width} for width in (None, "160", float("nan"))],
    *[{}, {"file_id": FILE_ID}, {"file_id": FILE_ID, "width": 160}, 7, None, []],
]


@pytest.mark.parametrize(
    "photos", [None, {}, [None], "photos", 7, [{}], [[GOOD_SIZE, 7]], *([[size]] for size in ODD_SIZES)]
)
def test_malformed_photos_are_transient(mocked: responses.RequestsMock, photos: Any) -> None:
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
    file_id = add_file(telegram, b"\0some bytes")
    assert api.download(api.get_file(file_id, Deadline(60)), Deadline(60)).data == b"\0some bytes"


@pytest.mark.parametrize("result", [{"file_id": FILE_ID}, {"file_id": FILE_ID, "file_path": ""}])
def test_a_file_without_a_path_is_temporarily_unavailable(
    mocked: responses.RequestsMock, result: dict[str, Any]
) -> None:
    mocked.get(url_of("getFile"), json={"ok": True, "result": result})
    with pytest.raises(TemporarilyUnavailable):
        GET_FILE(open_api())


@pytest.mark.parametrize(
    "fault", ["absolute-file-path", "dotdot-file-path", "scheme-file-path", "double-slash-file-path", "crlf-file-path"]
)
def test_a_path_that_could_lead_elsewhere_is_refused(api: BotApi, telegram: FakeTelegram, fault: str) -> None:
    telegram.fail("getFile", fault)
    with pytest.raises(Unreachable):
        api.get_file(add_file(telegram, b"x"), Deadline(60))


@pytest.mark.parametrize("path", ["a?b=c", "a#b", "a%2e%2e/b", "a\\b", "a{token}b", " \n", "a" * 513, 7, ["a"]])
def test_a_path_with_other_characters_is_refused(mocked: responses.RequestsMock, path: Any) -> None:
    mocked.get(url_of("getFile"), json={"ok": True, "result": {"file_id": FILE_ID, "file_path": path}})
    with pytest.raises(Unreachable):
        GET_FILE(open_api())


def test_the_path_is_quoted(mocked: responses.RequestsMock) -> None:
    mocked.get(f"{ROOT}/file/bot{TEST_TOKEN}/my%20photos/file_1.jpg", body=b"\0")
    assert open_api().download(FilePath("my photos/file_1.jpg", ""), Deadline(60)).data == b"\0"


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


def test_the_body_of_a_redirect_is_not_read_to_its_end() -> None:
    endless = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n" + bytes(2**20 + 1)
    with OneAnswer(endless) as server, pytest.raises(Unreachable, match="more than 1048576 bytes"):
        GET_ME(open_api(server.url))


@pytest.mark.parametrize("fault", ["oversize", "oversize-chunked"])
def test_more_than_ten_mebibytes_are_refused_with_and_without_a_length(
    api: BotApi, telegram: FakeTelegram, fault: str
) -> None:
    path = api.get_file(add_file(telegram, b"\0"), Deadline(60))
    telegram.fail("download", fault)
    with pytest.raises(TooBig):
        api.download(path, Deadline(60))


def test_ten_mebibytes_are_accepted(api: BotApi, telegram: FakeTelegram) -> None:
    path = api.get_file(add_file(telegram, b"\0"), Deadline(60))
    telegram.fail("download", "oversize", size=MAX_PHOTO_BYTES)
    assert len(api.download(path, Deadline(60)).data) == MAX_PHOTO_BYTES


def test_an_answer_of_a_method_has_its_own_size_limit(api: BotApi, telegram: FakeTelegram) -> None:
    telegram.fail("getMe", "oversize", size=2**20 + 1)
    with pytest.raises(UpstreamFailed):  # the file is not too big
        api.get_me(Deadline(60))


def test_a_refused_body_does_not_affect_the_next_call(api: BotApi, telegram: FakeTelegram) -> None:
    path = api.get_file(add_file(telegram, b"\0"), Deadline(60))
    telegram.fail("download", "oversize-chunked")
    with pytest.raises(TooBig):
        api.download(path, Deadline(60))
    assert api.download(path, Deadline(60)).data == b"\0"


@pytest.mark.parametrize("method", ["getMe", "download"])
@pytest.mark.parametrize("fault", ["slow-headers", "slow-body", "hang"])
def test_a_call_ends_at_its_total_deadline(api: BotApi, telegram: FakeTelegram, method: str, fault: str) -> None:
    path = api.get_file(add_file(telegram, bytes(1000)), Deadline(60))
    telegram.fail(method, fault)
    with pytest.raises(DeadlineExceeded if fault.startswith("slow") else (DeadlineExceeded, UpstreamFailed)):
        api.get_me(Deadline(1.5)) if method == "getMe" else api.download(path, Deadline(1.5))


def test_no_single_timeout_of_a_call_exceeds_its_deadline(mocked: responses.RequestsMock) -> None:
    for seconds, connect, read in ((60, 5, 10), (7, 5, 7), (3, 3, 3)):
        timeout = matchers.request_kwargs_matcher({"timeout": (connect, read)})
        mocked.get(url_of("getMe"), json=ME, match=[timeout])
        assert open_api().get_me(Deadline(seconds, Clock()))


def test_after_the_deadline_no_call_is_made(api: BotApi, telegram: FakeTelegram) -> None:
    with pytest.raises(DeadlineExceeded):
        api.get_me(Deadline(-1))
    assert not telegram.calls


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
    outcomes = [(method, outcome) for method, outcome, _ in calls]
    assert outcomes == [("getMe", "429"), ("getMe", "Unreachable"), ("getMe", "200")]
