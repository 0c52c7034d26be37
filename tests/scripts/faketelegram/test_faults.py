"""A scripted fault replaces the answer, and nothing holds up the stop."""

from __future__ import annotations

import io
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from PIL import Image

from faketelegram import FAULTS, FakeTelegram
from tests.scripts.faketelegram.calling import PATIENCE, call, download, get_file, path_of
from tests.support.waiting import wait_until


def test_a_429_has_its_delay_in_body_and_header(fake: FakeTelegram) -> None:
    fake.fail("getMe", "too-many-requests", retry_after=8)
    answer = requests.get(f"{fake.url}/bot{fake.token}/getMe", timeout=PATIENCE)
    assert answer.headers["Retry-After"] == "8"
    assert answer.json() == {
        "ok": False,
        "error_code": 429,
        "description": "Too Many Requests: retry after 8",
        "parameters": {"retry_after": 8},
    }


def test_a_fault_applies_its_number_of_times_and_then_the_next_one(fake: FakeTelegram) -> None:
    fake.fail("getMe", "internal-error", times=2)
    fake.fail("*", "user-not-found")
    codes = [call(fake, "getMe").get("error_code") for _ in range(4)]
    assert codes == [500, 500, 400, None]


def test_a_fault_without_a_number_applies_until_it_is_cleared(fake: FakeTelegram) -> None:
    fake.fail("getMe", "unauthorized", times=None)
    assert [call(fake, "getMe")["ok"] for _ in range(3)] == [False] * 3
    fake.clear_faults()
    assert call(fake, "getMe")["ok"]


def test_a_fault_can_be_limited_to_one_user_or_one_file(fake: FakeTelegram) -> None:
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
        ("user-not-found", 400, "Bad Request: user not found"),
        ("chat-not-found", 400, "Bad Request: chat not found"),
        ("user-deactivated", 403, "Forbidden: user is deactivated"),
        ("not-found", 404, "Not Found"),
    ],
)
def test_a_refusal_can_be_scripted(fake: FakeTelegram, fault: str, code: int, description: str) -> None:
    fake.fail("getFile", fault)
    answer = get_file(fake, "whatever")
    assert (answer["error_code"], answer["description"]) == (code, description)


def test_a_file_path_can_be_missing_or_hostile(fake: FakeTelegram) -> None:
    for fault, path in {
        "no-file-path": None,
        "crlf-file-path": "photos/file_0.jpg HTTP/1.1\r\nX-Injected: yes",
    }.items():
        fake.fail("getFile", fault)
        answer = get_file(fake, fake.world.file_id(42))
        assert (answer["ok"], answer["result"].get("file_path")) == (True, path)


def test_an_expired_path_stays_invalid_until_get_file_returns_another(fake: FakeTelegram) -> None:
    path = path_of(fake)
    fake.fail("download", "path-expired")
    assert [download(fake, path).status_code for _ in range(2)] == [404, 404]
    assert download(fake, path_of(fake)).status_code == 200


def test_a_bad_gateway_has_an_html_body(fake: FakeTelegram) -> None:
    fake.fail("download", "bad-gateway")
    answer = download(fake, "photos/file_0.jpg")
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html")


def test_a_redirect_leads_to_its_location(fake: FakeTelegram) -> None:
    fake.fail("download", "redirect", location="http://127.0.0.1:9/evil")
    answer = download(fake, "photos/file_0.jpg")
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://127.0.0.1:9/evil")


@pytest.mark.parametrize(("fault", "told"), [("oversize", True), ("oversize-chunked", False)])
def test_an_oversize_file_still_decodes_and_can_omit_its_length(fake: FakeTelegram, fault: str, told: bool) -> None:
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


def test_a_download_can_have_the_wrong_type_or_no_image(fake: FakeTelegram) -> None:
    path = path_of(fake)
    fake.fail("download", "wrong-content-type", content_type="image/svg+xml")
    fake.fail("download", "not-an-image")
    fake.fail("download", "blocked", status=200)
    fake.fail("getMe", "not-json")
    assert download(fake, path).headers["Content-Type"] == "image/svg+xml"
    assert download(fake, path).content.startswith(b"PK")
    assert download(fake, path).content.startswith(b"<!doctype html>")
    with pytest.raises(requests.JSONDecodeError):
        call(fake, "getMe")


def test_a_cut_body_looks_whole_to_a_client_that_knows_no_length(fake: FakeTelegram) -> None:
    path = path_of(fake)
    whole = download(fake, path).content
    fake.fail("download", "cut-body")
    answer = download(fake, path)
    assert answer.content == whole[: len(whole) // 2]
    assert "Content-Length" not in answer.headers


@pytest.mark.parametrize("status", [403, 499, 520])
def test_a_blocking_proxy_may_answer_with_a_status_of_its_own(fake: FakeTelegram, status: int) -> None:
    fake.fail("getMe", "blocked", status=status)
    answer = requests.get(f"{fake.url}/bot{fake.token}/getMe", timeout=PATIENCE)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html")


def test_a_truncated_body_is_shorter_than_its_length(fake: FakeTelegram) -> None:
    path = path_of(fake)
    fake.fail("download", "truncated-body")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="more expected"):
        download(fake, path)


def test_a_reset_is_a_tcp_reset_and_not_a_regular_end(fake: FakeTelegram) -> None:
    fake.fail("getMe", "connection-reset")
    with socket.create_connection(("127.0.0.1", fake.port), timeout=PATIENCE) as client:
        client.sendall(f"GET /bot{fake.token}/getMe HTTP/1.1\r\nHost: fake\r\n\r\n".encode())
        with pytest.raises(ConnectionResetError):
            client.recv(100)


def test_a_late_answer_is_correct(fake: FakeTelegram, pauses: list[float]) -> None:
    fake.fail("getMe", "late", seconds=7)
    assert call(fake, "getMe")["ok"]
    assert pauses == [7]


def test_without_latency_the_fake_does_not_pause(fake: FakeTelegram, pauses: list[float]) -> None:
    download(fake, path_of(fake))
    assert pauses == []


def test_a_slow_body_arrives_byte_by_byte(fake: FakeTelegram, pauses: list[float]) -> None:
    fake.fail("getMe", "slow-body", interval=0.5)
    answer = requests.get(f"{fake.url}/bot{fake.token}/getMe", timeout=PATIENCE)
    assert answer.json()["ok"]
    wait_until(lambda: len(pauses) == len(answer.content))  # the last pause comes after the last byte
    assert set(pauses) == {0.5}


def test_slow_headers_arrive_byte_by_byte(fake: FakeTelegram, pauses: list[float]) -> None:
    fake.fail("getMe", "slow-headers", interval=0.5)
    assert call(fake, "getMe")["ok"]
    assert len(pauses) > 100
    assert set(pauses) == {0.5}


@pytest.mark.parametrize("fault", ["hang", "slow-headers", "slow-body", "no fault"])
def test_an_unfinished_answer_does_not_delay_the_stop(fake: FakeTelegram, fault: str) -> None:
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
    wait_until(lambda: not listener._open)


def test_it_can_stop_and_start_again_on_the_same_port(fake: FakeTelegram) -> None:
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
def test_a_senseless_fault_is_refused_with_its_name(fake: FakeTelegram, wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        fake.fail(**wrong)
    assert requests.post(f"{fake.url}/_fake/faults", json=wrong, timeout=PATIENCE).status_code == 422
