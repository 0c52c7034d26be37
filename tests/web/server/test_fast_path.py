"""A hit in the loop has the bytes, the signal, the log line and the figures of the ordinary way."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clock import Clock
from tests.support.gunicorn_way import answer, make_config, mask
from tests.support.raw_http import head
from tests.support.thorough import bounded
from tests.support.web_memory import keep_in_memory
from tests.support.web_parts import (
    MakeApp,
    body_of,
    file_url,
    new_file_id,
    new_id,
    store_picture,
    store_unavailable,
    user_url,
)
from warmer.errors import InvalidFileId
from web import signals
from web.observe import metrics
from web.photos.app import PhotoLayer
from web.photos.flights import Flights
from web.photos.request import RawRequest
from web.server.fast_path import FastPath, Miss
from web.server.plain_request import parse_plain
from web.wiring import get_web_context

WEBP, JPEG, CHROME = "image/webp", "image/jpeg", "image/avif,image/webp,image/apng,*/*;q=0.8"
CONFIG = make_config(forwarded_allow_ips="")


@dataclass(frozen=True)
class Pictures:
    """An app that has pictures in memory, and the fast path in front of it."""

    app: Flask
    fast_path: FastPath
    urls: list[str]
    etag: str  # of the first

    def find(self, data: bytes) -> bytes | Miss | None:
        raw = parse_plain(data)
        assert raw
        return self.fast_path.find(raw)

    def find_answer(self, data: bytes) -> bytes:
        found = self.find(data)
        assert isinstance(found, bytes)
        return found

    def assert_same(self, data: bytes) -> bytes:
        """Both ways give the same bytes. Returns them."""
        fast = self.find_answer(data)
        assert mask(fast) == mask(answer(self.app, data, CONFIG))
        return fast


@pytest.fixture
def app(redis: object, telegram: object, make_app: MakeApp) -> Flask:
    """Its clock stands still: a busy machine needs more time for all examples than an answer stays in memory."""
    return make_app(photo_wait=0, clock=Clock())


@pytest.fixture
def pictures(app: Flask) -> Pictures:
    user_id, file_id = new_id(), store_picture(app)
    store_picture(app, file_id, "jpeg")
    get_web_context(app).photos.people.register(user_id, "Ann", file_id)
    urls = [file_url(file_id), file_url(file_id, size=80), user_url(user_id), file_url(file_id, utm_source="x y")]
    etags = [keep_in_memory(app, url, accept) for url in urls for accept in (WEBP, JPEG)]
    return Pictures(app, FastPath(cast(PhotoLayer, app.wsgi_app)), urls, etags[0])


def answer_by_a_look(app: Flask, data: bytes) -> bytes:
    """Returns the bytes that a client gets whose answer is not in memory. The test is the loop and the thread."""
    layer = cast(PhotoLayer, app.wsgi_app)
    jobs: list[Callable[[], None]] = []
    sent: list[bytes] = []
    fast_path = FastPath(layer)
    flights = Flights(
        layer, run=jobs.append, defer=lambda call, *args: call(*args), to_bytes=fast_path.to_bytes, looks_max=1
    )
    raw = parse_plain(data)
    assert isinstance(raw, RawRequest)
    miss = fast_path.find(raw)
    assert isinstance(miss, Miss)
    assert flights.join(raw, miss.photo_request, sent.append)
    while jobs:
        jobs.pop(0)()
        flights.deliver()
    [only] = sent
    return only


@pytest.mark.usefixtures("redis", "telegram")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("case", ["200", "304", "404", "404 drawn", "503"])
def test_what_is_not_in_memory_has_the_same_bytes_both_ways_too(make_app: MakeApp, method: str, case: str) -> None:
    app = make_app(photo_wait=0)
    absent = store_unavailable(app, new_file_id(), InvalidFileId("x"))
    urls = {
        "404": file_url(absent),
        "404 drawn": file_url(absent, d="initials", initials="AL"),
        "503": file_url(new_file_id()),
    }
    fields = [f"Accept: {WEBP}", *(["If-None-Match: *"] if case == "304" else [])]
    data = head(f"{method} {urls.get(case) or file_url(store_picture(app))} HTTP/1.1", *fields)
    by_a_look = answer_by_a_look(app, data)
    assert by_a_look.startswith(f"HTTP/1.1 {case[:3]} ".encode())
    assert mask(by_a_look) == mask(answer(app, data, CONFIG))


@bounded(100, 5000)
@given(st.data())
def test_both_ways_give_the_same_bytes(pictures: Pictures, data: st.DataObject) -> None:
    etag = pictures.etag
    known = [None, etag, f"W/{etag}", f'"x", {etag}', "*", '"x"', "", ",", etag.strip('"')]
    url, accept = data.draw(st.sampled_from(pictures.urls)), data.draw(st.sampled_from([WEBP, JPEG, CHROME, "*/*", ""]))
    fields = [f"Accept: {accept}", *data.draw(st.sampled_from([[], ["Connection: keep-alive"], ["User-Agent: x"]]))]
    if (given_known := data.draw(st.sampled_from(known))) is not None:
        fields.append(f"If-None-Match: {given_known}")
    method = data.draw(st.sampled_from(["GET", "HEAD"]))
    pictures.assert_same(head(f"{method} {url} HTTP/1.1", *data.draw(st.permutations(fields))))


def test_a_hit_has_every_header_and_its_body(pictures: Pictures) -> None:
    fast = pictures.assert_same(head(f"GET {pictures.urls[0]} HTTP/1.1", f"Accept: {WEBP}"))
    lines, _, body = fast.partition(b"\r\n\r\n")
    file_id = pictures.urls[0].split("/")[4].partition("?")[0]
    assert body == body_of(file_id)
    names = [line.partition(b":")[0].decode() for line in lines.split(b"\r\n")]
    assert names == [
        "HTTP/1.1 200 OK", "Server", "Date", "Connection", "Content-Type", "Content-Length", "ETag", "Cache-Control",
        "Cache-Tag", "Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Cross-Origin-Resource-Policy",
        "Vary", "Content-Security-Policy", "X-Content-Type-Options", "Cache-Status", "X-Request-ID", "X-Response-Time",
        "Server-Timing",
    ]  # fmt: skip
    assert re.search(rb"\r\nServer-Timing: total;dur=[0-9]+\.[0-9]\r\n", fast)
    assert re.search(rb"\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", fast)


@pytest.mark.parametrize(("given_id", "is_kept"), [("why-is-it-slow", True), ("not well-formed", False), (None, False)])
def test_the_request_id_is_the_clients_own_or_a_new_one(
    pictures: Pictures, given_id: str | None, is_kept: bool
) -> None:
    fields = [f"X-Request-ID: {given_id}"] if given_id else []
    data = head(f"GET {pictures.urls[0]} HTTP/1.1", f"Accept: {WEBP}", *fields)
    found = [re.findall(rb"X-Request-ID: (\S+)\r\n", pictures.find_answer(data)) for _ in range(2)]
    assert [len(ids) for ids in found] == [1, 1]
    assert (found[0] == found[1] == [str(given_id).encode()]) is is_kept


def test_both_ways_send_the_same_signal(pictures: Pictures) -> None:
    said: list[dict[str, Any]] = []
    data = head(f"HEAD {pictures.urls[2]} HTTP/1.1", f"Accept: {WEBP}", "X-Request-ID: an-id", "If-None-Match: *")
    raw = parse_plain(data)
    assert isinstance(raw, RawRequest)
    with signals.photo_served.connected_to(lambda _, **payload: said.append(payload), sender=pictures.app):
        assert isinstance(pictures.fast_path.answer(raw), bytes)
        answer(pictures.app, data, CONFIG)
    in_the_loop, in_a_thread = said
    assert in_the_loop | {"seconds": 0} == in_a_thread | {"seconds": 0}
    assert in_the_loop["seconds"] >= 0


def test_a_hit_in_the_loop_is_logged_and_counted(pictures: Pictures, caplog: pytest.LogCaptureFixture) -> None:
    access_log = get_web_context(pictures.app).observe.access_log
    access_log.write()
    with caplog.at_level("INFO", "web"):
        caplog.clear()
        assert pictures.find_answer(head(f"GET {pictures.urls[0]} HTTP/1.1", "X-Request-ID: mine"))
        access_log.write()
    [record] = [record for record in caplog.records if getattr(record, "request_id", "") == "mine"]
    assert record.getMessage().startswith("📸 Photo served for ")
    fields = {name: getattr(record, name) for name in ("hit", "method", "route", "status")}
    assert fields == {"hit": True, "method": "GET", "route": "/api/photos/file/<photo_file_id>", "status": 200}


def test_what_is_not_in_memory_is_missing_and_what_is_refused_is_left_to_the_ordinary_way(
    pictures: Pictures, app: Flask
) -> None:
    missing = [file_url(new_file_id()), file_url(store_picture(app))]  # the second one is in Redis alone
    refused = [file_url(new_file_id(), sig="x"), pictures.urls[0].replace("size=160", "size=161")]
    for url in [*missing, *refused]:
        found = pictures.find(head(f"GET {url} HTTP/1.1", f"Accept: {WEBP}"))
        assert isinstance(found, Miss) if url in missing else found is None


def test_a_purged_picture_is_not_served(pictures: Pictures) -> None:
    data = head(f"GET {pictures.urls[0]} HTTP/1.1", f"Accept: {WEBP}")
    assert pictures.find_answer(data)
    get_web_context(pictures.app).photos.cache.purge(pictures.urls[0].split("/")[4].partition("?")[0])
    assert isinstance(pictures.find(data), Miss)


def test_an_answer_of_which_only_the_etag_is_in_memory_serves_304_alone(app: Flask, pictures: Pictures) -> None:
    url = file_url(store_picture(app))
    client = app.test_client()
    etag = client.get(url).headers["ETag"]
    get_web_context(app).photos.cache.purge(url.split("/")[4].partition("?")[0])
    assert client.get(url, headers={"Accept": WEBP, "If-None-Match": etag}).status_code == 304
    line = f"GET {url} HTTP/1.1"
    pictures.assert_same(head(line, f"Accept: {WEBP}", f"If-None-Match: {etag}"))
    assert isinstance(pictures.find(head(line, f"Accept: {WEBP}", 'If-None-Match: "x"')), Miss)


def test_an_error_in_the_loop_is_left_to_the_ordinary_way(pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(get_web_context(pictures.app).photos.cache, "get", lambda _: 1 / 0)
    assert pictures.find(head(f"GET {pictures.urls[0]} HTTP/1.1")) is None


def test_a_listener_of_the_users_own_takes_every_hit_out_of_the_loop(pictures: Pictures) -> None:
    """It may take its time, or fail with an answer of its own."""
    data = head(f"GET {pictures.urls[0]} HTTP/1.1", f"Accept: {WEBP}")
    with signals.photo_served.connected_to(lambda *_, **__: None):
        assert pictures.find(data) is None
    assert pictures.find_answer(data)


def test_a_listener_in_place_of_ours_counts_as_foreign(pictures: Pictures) -> None:
    data = head(f"GET {pictures.urls[0]} HTTP/1.1", f"Accept: {WEBP}")
    signals.photo_served.disconnect(metrics.note_served)
    try:
        with signals.photo_served.connected_to(lambda *_, **__: None):
            assert pictures.find(data) is None
    finally:
        signals.photo_served.connect(metrics.note_served)
    assert pictures.find_answer(data)


def test_the_date_changes_with_the_second(pictures: Pictures) -> None:
    times = iter([1_700_000_000.2, 1_700_000_000.9, 1_700_000_001.0])
    fast_path = FastPath(cast(PhotoLayer, pictures.app.wsgi_app), lambda: next(times))
    raw = parse_plain(head(f"GET {pictures.urls[0]} HTTP/1.1", f"Accept: {WEBP}"))
    assert raw
    answers = [fast_path.find(raw) for _ in range(3)]
    assert [re.findall(rb"\d\d:\d\d:(\d\d) GMT", answer) for answer in answers if isinstance(answer, bytes)] == [
        [b"20"],
        [b"20"],
        [b"21"],
    ]
