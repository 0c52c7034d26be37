"""A remembered list in front of Flask has the bytes, the log line and the figures of Flask's answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any, cast

import pytest
from blinker import NamedSignal
from flask import Flask
from flask.signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    request_finished,
    request_started,
    request_tearing_down,
)
from redis import Redis

from tests.conftest import API_KEY, wait_until
from tests.support.clock import Clock
from tests.support.gunicorn_way import answer, make_config, mask
from tests.support.raw_http import head
from tests.support.web_memory import hear_purges
from tests.support.web_parts import Headers, MakeApp, as_user, new_file_id, new_id, store_picture
from tests.support.worker_loop import open_worker, used_threads, visit
from tests.web.api.conftest import Backend
from web import signals
from web.photos.app import PhotoLayer
from web.photos.request import ListRequest
from web.server.fast_path import FastPath
from web.server.plain_request import parse_plain
from web.wiring import get_web_context

CONFIG = make_config(forwarded_allow_ips="")
OURS, THEIRS = "https://app.example", "https://evil.example"
AS_SERVER, AS_USER = f"Authorization: Bearer {API_KEY}", f"Authorization: {as_user(42)['Authorization']}"


@dataclass(frozen=True)
class Lists:
    """An app that lists three partners, and the fast path in front of it."""

    app: Flask
    fast_path: FastPath

    def find(self, data: bytes) -> bytes | None:
        raw = parse_plain(data)
        assert isinstance(raw, ListRequest)
        found = self.fast_path.find(raw)
        assert found is None or isinstance(found, bytes)
        return found

    def find_soon(self, data: bytes) -> bytes:
        """Ask until the answer is in memory. Returns it."""

        def find() -> bytes | None:
            if (found := self.find(data)) is None:
                answer(self.app, data, CONFIG)
            return found

        found: bytes = wait_until(find)
        return found

    def ask_flask(self, data: bytes) -> bytes:
        get_web_context(self.app).api.lists.end_all()
        return answer(self.app, data, CONFIG)


@pytest.fixture
def app(redis: Redis, telegram: object, make_app: MakeApp, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """Its lists become older only when the test says so. Then the note in Redis must not end before."""
    monkeypatch.setattr("warmer.state.remembered.REMEMBERED_SECONDS", 600.0)
    return make_app(photo_wait=0, clock=clock, cors_origins=f"{OURS},https://b.example")


@pytest.fixture
def lists(app: Flask, as_server: Headers) -> Lists:
    backend = Backend(app.test_client(), as_server)
    for _ in range(3):
        backend.put(new_id(), "Ann", store_picture(app))
    hear_purges(app)
    return Lists(app, FastPath(cast(PhotoLayer, app.wsgi_app)))


def request(*fields: str, method: str = "GET", query: str = "?limit=20") -> bytes:
    return head(f"{method} /api/partner/recent{query} HTTP/1.1", *(fields or [AS_SERVER]))


def test_both_ways_give_the_same_bytes(lists: Lists) -> None:
    encodings = [[], ["Accept-Encoding: gzip"], ["Accept-Encoding: br;q=1, gzip;q=0"], ["Accept-Encoding: "]]
    origins = [[], [f"Origin: {OURS}"], [f"Origin: {THEIRS}"]]
    wrong = []
    for method, query, encoding, origin in product(["GET", "HEAD"], ["", "?limit=2"], encodings, origins):
        for credential in (AS_SERVER, AS_USER):
            data = request(credential, *encoding, *origin, method=method, query=query)
            by_flask = lists.ask_flask(data)
            if mask(lists.find_soon(data)) != mask(by_flask):
                wrong.append(data)
            assert by_flask.startswith(b"HTTP/1.1 200 OK\r\n")
    assert wrong == []


def test_an_answer_has_every_header_of_flasks(lists: Lists) -> None:
    lines, _, body = lists.find_soon(request(AS_SERVER, f"Origin: {OURS}")).partition(b"\r\n\r\n")
    names = [line.partition(b":")[0].decode() for line in lines.split(b"\r\n")]
    assert names[:6] == ["HTTP/1.1 200 OK", "Server", "Date", "Connection", "Content-Type", "Content-Length"]
    assert set(names[6:]) == {
        "Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Vary", "X-Response-Time", "Server-Timing",
        "X-Content-Type-Options", "X-Request-ID",
    }  # fmt: skip
    assert re.search(rb"\r\nServer-Timing: total;dur=[0-9]+\.[0-9]\r\n", lines)
    assert b'{"partners":[{' in body.replace(b" ", b"")


@pytest.mark.parametrize(("given_id", "is_kept"), [("why-is-it-slow", True), ("not well-formed", False), (None, False)])
def test_the_request_id_is_the_clients_own_or_a_new_one(lists: Lists, given_id: str | None, is_kept: bool) -> None:
    data = request(AS_SERVER, *([f"X-Request-ID: {given_id}"] if given_id else []))
    found = [re.findall(rb"X-Request-ID: (\S+)\r\n", lists.find_soon(data)) for _ in range(2)]
    assert [len(ids) for ids in found] == [1, 1]
    assert (found[0] == found[1] == [str(given_id).encode()]) is is_kept


def test_a_list_in_the_loop_is_logged_and_counted_as_flask_does(
    lists: Lists, as_server: Headers, caplog: pytest.LogCaptureFixture
) -> None:
    access_log, client = get_web_context(lists.app).observe.access_log, lists.app.test_client()

    def count() -> float:
        text = client.get("/metrics", headers=as_server).get_data(as_text=True)
        found = re.search(r'avatar_requests_total\{endpoint="partners\.list_recent",status="200"\} (\S+)', text)
        return float(found[1]) if found else 0.0

    lists.find_soon(request())
    before = count()
    with caplog.at_level("INFO", "web"):
        caplog.clear()
        assert lists.find(request(AS_SERVER, "X-Request-ID: mine"))
        access_log.write()
        lists.ask_flask(request(AS_SERVER, "X-Request-ID: flask"))
    assert count() == before + 2
    by_id = {getattr(record, "request_id", ""): record for record in caplog.records}
    for record in (by_id["mine"], by_id["flask"]):
        assert re.fullmatch(r"GET /api/partner/recent 200 in \d+ms", record.getMessage())
        fields = {name: getattr(record, name) for name in ("method", "route", "status")}
        assert fields == {"method": "GET", "route": "/api/partner/recent", "status": 200}
        assert (record.name, record.levelname) == ("web.observe.request_log", "INFO")
        assert not hasattr(record, "subject")


@pytest.mark.parametrize(
    "fields",
    [[], ["Authorization: Bearer no-key"], ["Authorization: Bearer"], [f"Authorization: Basic {API_KEY}"],
     [f"Authorization: tma {'x' * 30}"], ["Authorization: tma "], [f"Authorization: {API_KEY}"]],
)  # fmt: skip
def test_without_a_known_credential_flask_refuses(lists: Lists, fields: list[str]) -> None:
    assert lists.find_soon(request())
    data = request(*(fields or ["X-No: credential"]))
    assert lists.find(data) is None
    assert answer(lists.app, data, CONFIG).startswith(b"HTTP/1.1 401 ")
    assert lists.find(request())


def test_init_data_is_known_when_flask_has_verified_it(lists: Lists) -> None:
    assert lists.find_soon(request())
    data = request(f"Authorization: {as_user(new_id())['Authorization']}")
    assert lists.find(data) is None
    answer(lists.app, data, CONFIG)
    assert lists.find(data)


@pytest.mark.parametrize("query", ["?limit=0", "?limit=101", "?limit=20&limit=20", "?limit=%32", "?limit=02", "?x=1"])
def test_an_odd_query_is_left_to_flask(lists: Lists, query: str) -> None:
    assert lists.find_soon(request(query=""))
    data = request(query=query)
    answer(lists.app, data, CONFIG)
    assert lists.find(data) is None


def test_a_list_with_pictures_that_are_not_ready_is_left_to_flask_which_warms_them(
    lists: Lists, as_server: Headers
) -> None:
    assert lists.find_soon(request())
    Backend(lists.app.test_client(), as_server).put(new_id(), "Ann", new_file_id())
    for _ in range(3):
        answer(lists.app, request(), CONFIG)
        assert lists.find(request()) is None


def test_a_registration_a_deletion_and_the_end_of_the_second_end_it(
    lists: Lists, as_server: Headers, clock: Clock
) -> None:
    backend, user_id, file_id = Backend(lists.app.test_client(), as_server), new_id(), store_picture(lists.app)
    ends: list[Callable[[], object]] = [
        lambda: backend.put(user_id, "Ann", file_id),
        lambda: backend.delete(user_id),
        lambda: clock.advance(1.1),
        get_web_context(lists.app).api.lists.close,
    ]
    for end in ends:
        assert lists.find_soon(request())
        end()
        assert lists.find(request()) is None


@pytest.mark.parametrize(
    "signal",
    [signals.partners_listed, request_started, request_finished, request_tearing_down, appcontext_pushed,
     appcontext_tearing_down, appcontext_popped],
)  # fmt: skip
def test_a_listener_of_the_users_own_takes_every_list_out_of_the_loop(lists: Lists, signal: NamedSignal) -> None:
    assert lists.find_soon(request())
    with signal.connected_to(lambda *_, **__: None):
        assert lists.find(request()) is None
    assert lists.find(request())


@pytest.mark.usefixtures("redis", "telegram")
@pytest.mark.parametrize(
    "kind", ["url_value_preprocessor", "before_request", "after_request", "teardown_request", "teardown_appcontext"]
)
def test_a_hook_of_the_users_own_hears_of_every_list(make_app: MakeApp, kind: str) -> None:
    app = make_app(photo_wait=0)
    heard: list[int] = []

    def hear(*given: Any) -> Any:
        heard.append(1)
        return given[0] if kind == "after_request" else None

    getattr(app, kind)(hear)
    lists = Lists(app, FastPath(cast(PhotoLayer, app.wsgi_app)))
    hear_purges(app)
    for _ in range(5):
        answer(app, request(), CONFIG)
        assert lists.find(request()) is None
    assert len(heard) == 5


def test_a_request_whose_answer_has_a_header_of_its_own_is_left_to_flask(lists: Lists) -> None:
    field = "Access-Control-Request-Private-Network: true"
    data = request(AS_SERVER, f"Origin: {OURS}", field)
    for _ in range(2):
        assert b"Access-Control-Allow-Private-Network: false" in answer(lists.app, data, CONFIG)
    assert b"Private-Network" not in lists.find_soon(request(AS_SERVER, f"Origin: {OURS}"))
    assert b"Access-Control-Allow-Private-Network: false" in answer(lists.app, data, CONFIG)
    assert parse_plain(data) is None


def test_the_loop_answers_without_a_thread(lists: Lists) -> None:
    with open_worker(lists.app) as worker, visit(worker) as visitor:
        lists.find_soon(request())
        answers = [visitor.ask(request()), visitor.ask(request(method="HEAD"), "HEAD"), visitor.ask(request())]
        assert [one.status for one in answers] == [200, 200, 200]
        assert answers[0].body == answers[2].body != b""
        assert used_threads(worker) == 0
        assert visitor.ask(request("Authorization: Bearer no-key")).status == 401
        assert used_threads(worker) == 1
