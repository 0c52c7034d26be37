"""Errors are problem documents (RFC 9457), never a 500; without Redis a request gets a quick 503."""

from __future__ import annotations

import json
import shutil
import signal
import socket
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from gunicorn.http.body import Body, ChunkedReader
from gunicorn.http.unreader import IterUnreader
from redis import Redis
from redis.exceptions import ResponseError

from tests.conftest import wait_until
from tests.support.web_parts import (
    MakeApp,
    as_user,
    file_url,
    new_file_id,
    new_id,
    private_redis,
    store_picture,
    user_url,
)
from web.problems import is_away
from web.wiring import get_web_context

Headers = dict[str, str]


def assert_problem(answer: Any, status: int) -> dict[str, Any]:
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.headers["Cache-Control"] == "no-store"
    assert {"type", "title", "status", "detail"} <= set(answer.json)
    assert answer.json["status"] == status
    return dict(answer.json)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/static/nowhere.js", 404),
        ("GET", "/static/../settings.py", 404),
        ("GET", "/static/%2e%2e/__init__.py", 404),
        ("GET", "/api/partner", 404),
        ("GET", "/api/partner/recent/", 404),
        ("GET", "/api//partner/recent", 404),
        ("GET", "/%00", 404),
        ("POST", "/healthz", 405),
        ("POST", "/api/partner/recent", 405),
        ("PATCH", "/api/partner/me", 405),
        ("POST", "/api/partner/42", 405),
        ("GET", "/api/photos/warm", 405),
        ("GET", "/try", 405),
    ],
)
def test_an_unknown_path_or_method_is_a_problem_document(
    client: FlaskClient, method: str, path: str, status: int
) -> None:
    answer = client.open(path, method=method)
    assert_problem(answer, status)
    assert ("Allow" in answer.headers) == (status == 405)


def put(client: FlaskClient, headers: Headers, data: bytes | str, content_type: str = "application/json") -> Any:
    return client.put("/api/partner/42", data=data, content_type=content_type, headers=headers)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b"{'name': 'Ann'}",
        b'{"name": "Ann",}',
        b'{"name": "Ann"} x',
        b'{"name": "\xff"}',
        b'\xef\xbb\xbf{"name": "Ann"',
        '{"name": "Ann"}'.encode("utf-16"),
        b'{"name": "\\ud800"}',
        b'{"name": "\\udc00x"}',
        b'{"name": "a\nb"}',
        b"[" * 30_000,
        b'{"name":' * 8_000,
        b'{"name": ' + b"9" * 60_000 + b"}",
        b"\0",
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_parsed_is_400(client: FlaskClient, as_server: Headers, data: bytes) -> None:
    assert_problem(put(client, as_server, data), 400)


@pytest.mark.parametrize(
    "data",
    [
        b"null",
        b"42",
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": 1e999}',
        b'{"name": 123456789012345678901234567890}',
        b'{"name": "\\u0000"}',
        b'{"name": "Ann", "\\u0000": 1}',
        b'{"name": "Ann", "x": ' + b"[" * 100 + b"]" * 100 + b"}",
        b'{"name": {"name": {"name": "Ann"}}}',
        b'{"name": "Ann", "name": 5}',
    ],
)
def test_malformed_values_are_422(client: FlaskClient, as_server: Headers, data: bytes) -> None:
    assert assert_problem(put(client, as_server, data), 422)["errors"]


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e2", "9" * 40, "-0.0", "1E400", '"1"', "true", "[1]", "{}"])
def test_malformed_numbers_are_422(client: FlaskClient, as_server: Headers, number: str) -> None:
    data = f'{{"ids": [{number}]}}'
    answer = client.post("/api/photos/resolve", data=data, content_type="application/json", headers=as_server)
    assert_problem(answer, 422)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
def test_a_body_of_another_type_is_415(client: FlaskClient, as_server: Headers, content_type: str) -> None:
    assert_problem(put(client, as_server, '{"name": "Ann"}', content_type), 415)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_a_json_content_type_may_have_a_charset(client: FlaskClient, as_server: Headers, content_type: str) -> None:
    assert put(client, as_server, '{"name": "Ann"}', content_type).status_code == 201


def test_a_body_of_64_kib_is_read_and_a_larger_one_is_413(client: FlaskClient, as_server: Headers) -> None:
    for size, status in ((64 * 1024, 201), (64 * 1024 + 1, 413)):
        answer = put(client, as_server, b'{"name": "Ann"}'.ljust(size))
        assert answer.status_code == status
    assert_problem(answer, 413)


@pytest.mark.parametrize(("size", "status"), [(1000, 201), (64 * 1024, 201), (64 * 1024 + 1, 413), (10**6, 413)])
def test_a_body_without_a_length_is_limited_while_it_is_read(
    client: FlaskClient, as_server: Headers, size: int, status: int
) -> None:
    chunked = {"wsgi.input_terminated": True, "wsgi.input": BytesIO(b'{"name": "Ann"}'.ljust(size))}
    headers = {**as_server, "Transfer-Encoding": "chunked", "Content-Type": "application/json"}
    assert client.put("/api/partner/42", headers=headers, environ_overrides=chunked).status_code == status


def test_malformed_chunks_are_400(client: FlaskClient, as_server: Headers) -> None:
    body = Body(ChunkedReader(None, IterUnreader([b"5\r\n{}\r\n0\r\n\r\n"])))
    headers = {**as_server, "Transfer-Encoding": "chunked", "Content-Type": "application/json"}
    answer = client.put(
        "/api/partner/42",
        headers=headers,
        environ_overrides={"wsgi.input_terminated": True, "wsgi.input": body},
    )
    assert_problem(answer, 400)


def test_an_incomplete_body_is_400_and_changes_nothing(client: FlaskClient, as_server: Headers) -> None:
    spec = {"CONTENT_LENGTH": "30", "wsgi.input_terminated": True, "wsgi.input": BytesIO(b'{"name": "Ann"}')}
    headers = {**as_server, "Content-Type": "application/json"}
    assert_problem(client.put("/api/partner/42", headers=headers, environ_overrides=spec), 400)
    assert client.get("/api/partner/42", headers=as_server).status_code == 404


@pytest.mark.parametrize(("encoding", "status"), [("gzip", 415), ("", 415), ("identity", 201)])
def test_an_encoded_body_is_415(client: FlaskClient, as_server: Headers, encoding: str, status: int) -> None:
    headers = {**as_server, "Content-Encoding": encoding}
    answer = client.put("/api/partner/42", json={"name": "Ann"}, headers=headers)
    assert answer.status_code == status


def test_an_absolute_uri_without_a_path_is_the_page(client: FlaskClient) -> None:
    assert client.get("/", environ_overrides={"PATH_INFO": ""}).status_code == 200


def test_the_detail_is_one_public_sentence(client: FlaskClient, as_server: Headers) -> None:
    problem = assert_problem(put(client, as_server, '{"name": "a\\nb"}'), 422)
    assert problem["detail"] == "name: must not hold control characters"
    assert problem["errors"] == [{"field": "name", "message": "must not hold control characters"}]


def test_an_internal_error_is_a_500_that_reveals_nothing(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    app.add_url_rule("/broken", "broken", lambda: vars()["a secret"])
    app.add_url_rule("/wrong", "wrong", lambda: str(get_web_context(app).redis.eval("a secret", 0)))
    for path in ("/broken", "/wrong"):
        answer = app.test_client().get(path)
        assert_problem(answer, 500)
        assert b"secret" not in answer.data
        assert "X-Response-Time" in answer.headers
    assert "a secret" in caplog.text  # the log has it


# Redis is away


@pytest.fixture
def app_with_own_redis(tmp_path: Path, telegram: object, as_server: Headers, make_app: MakeApp) -> Iterator[Any]:
    """An app with its own Redis, which a test can stop, with a stored picture and a partner."""
    with private_redis(tmp_path) as (url, server):
        app = make_app(redis_url=url, photo_wait=0.2)
        app.config.update(server=server, stored=file_url(store_picture(app)), folder=tmp_path)
        app.test_client().put(
            "/api/partner/42", json={"name": "Ann", "photo_file_id": new_file_id()}, headers=as_server
        )
        yield app


def freeze(app: Flask) -> None:
    app.config["server"].send_signal(signal.SIGSTOP)


def thaw(app: Flask) -> None:
    app.config["server"].send_signal(signal.SIGCONT)


def list_requests(app: Flask, as_server: Headers) -> list[tuple[str, str, dict[str, Any]]]:
    """Returns a request for every route that needs Redis."""
    name, ids = {"json": {"name": "Ann"}}, {"json": {"ids": [42]}}
    file_ids = {"json": {"photo_file_ids": [new_file_id()]}}
    user, server = {"headers": as_user(42)}, {"headers": as_server}
    return [
        ("GET", app.config["stored"], {}),
        ("HEAD", app.config["stored"], {}),
        ("GET", app.config["stored"], {"headers": {"If-None-Match": "*"}}),
        ("GET", user_url(42), {}),
        ("GET", "/api/partner/recent", user),
        ("POST", "/api/partner/me", user),
        ("GET", "/api/partner/me", user),
        ("DELETE", "/api/partner/me", user),
        ("PUT", "/api/partner/42", server | name),
        ("GET", "/api/partner/42", server),
        ("DELETE", "/api/partner/42", server),
        ("POST", "/api/photos/warm", server | file_ids),
        ("POST", "/api/photos/resolve", server | ids),
        ("POST", "/try", server | {"json": {"id": 42}}),
    ]


def ask(app: Flask, method: str, path: str, **more: Any) -> Any:
    return app.test_client().open(path, method=method, **more)


def test_a_hanging_redis_is_503_and_then_skipped(
    app_with_own_redis: Flask, as_server: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.redis_breaker.OPEN_SECONDS", 600.0)
    freeze(app_with_own_redis)
    answer = ask(app_with_own_redis, "GET", app_with_own_redis.config["stored"])
    assert_problem(answer, 503)
    assert answer.headers["Retry-After"] == "1"
    monkeypatch.setattr(get_web_context(app_with_own_redis).breaker, "begin_call", lambda: pytest.fail("asked"))
    answers = [
        (path, ask(app_with_own_redis, method, path, **more))
        for method, path, more in list_requests(app_with_own_redis, as_server)
    ]
    expected = (503, "1")
    wrong = [path for path, one in answers if (one.status_code, one.headers.get("Retry-After")) != expected]
    assert wrong == []


@pytest.mark.parametrize("number", range(14))
def test_every_route_detects_a_hanging_redis(app_with_own_redis: Flask, as_server: Headers, number: int) -> None:
    method, path, more = list_requests(app_with_own_redis, as_server)[number]
    freeze(app_with_own_redis)
    answer = ask(app_with_own_redis, method, path, **more)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    if method != "HEAD":
        assert_problem(answer, 503)


def test_without_redis_requests_that_do_not_need_it_are_answered(app_with_own_redis: Flask, as_server: Headers) -> None:
    freeze(app_with_own_redis)
    stored = app_with_own_redis.config["stored"]
    ask(app_with_own_redis, "GET", stored)  # opens the breaker
    wanted = {
        ("GET", stored + "x"): 403,
        ("GET", stored.replace("size=160", "size=1")): 400,
        ("GET", "/healthz"): 200,
        ("GET", "/"): 200,
        ("GET", "/static/page.js"): 200,
        ("GET", "/nowhere"): 404,
        ("POST", stored): 405,
        ("GET", "/api/partner/recent"): 401,
        ("GET", "/api/partner/recent?limit=0"): 400,
        ("PUT", "/api/partner/42"): 415,
        ("PUT", "/api/partner/042"): 404,
    }
    headers = {"/api/partner/recent?limit=0": as_server, "/api/partner/42": as_server, "/api/partner/042": as_server}
    answers = {key: ask(app_with_own_redis, *key, headers=headers.get(key[1], {})).status_code for key in wanted}
    assert answers == wanted


def test_a_recovered_redis_is_used_again(app_with_own_redis: Flask) -> None:
    freeze(app_with_own_redis)
    assert ask(app_with_own_redis, "GET", app_with_own_redis.config["stored"]).status_code == 503
    thaw(app_with_own_redis)
    wait_until(lambda: ask(app_with_own_redis, "GET", app_with_own_redis.config["stored"]).status_code == 200)


def test_a_killed_redis_is_503_until_it_is_back(app_with_own_redis: Flask, tmp_path: Path) -> None:
    app_with_own_redis.config["server"].kill()
    app_with_own_redis.config["server"].wait()
    assert ask(app_with_own_redis, "GET", app_with_own_redis.config["stored"]).status_code == 503
    with private_redis(tmp_path):
        wait_until(lambda: ask(app_with_own_redis, "GET", "/readyz").json["checks"]["redis"] == "ok")


@pytest.mark.usefixtures("telegram")
def test_a_silent_redis_is_503(make_app: MakeApp) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hole:
        app = make_app(redis_url=f"redis://127.0.0.1:{hole.getsockname()[1]}")
        assert ask(app, "GET", file_url(new_file_id())).status_code == 503


@pytest.mark.usefixtures("telegram")
@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1", "unix:///nowhere.sock", "rediss://127.0.0.1:1", "redis://nowhere.invalid"]
)
def test_an_unreachable_redis_is_503(url: str, make_app: MakeApp) -> None:
    assert_problem(ask(make_app(redis_url=url), "GET", file_url(new_file_id())), 503)


# Redis refuses writes


def refuse_for_memory(app: Flask) -> None:
    get_web_context(app).redis.config_set("maxmemory", "1")


def refuse_as_a_replica(app: Flask) -> None:
    get_web_context(app).redis.replicaof("127.0.0.1", 1)


def refuse_for_a_full_disk(app: Flask) -> None:
    redis = get_web_context(app).redis
    redis.config_set("save", "3600 1")
    shutil.rmtree(app.config["folder"], ignore_errors=True)
    redis.bgsave()
    wait_until(lambda: redis.info("persistence")["rdb_last_bgsave_status"] == "err")


REFUSALS = [refuse_for_memory, refuse_as_a_replica, refuse_for_a_full_disk]


@pytest.mark.parametrize("refuse", REFUSALS)
def test_without_writes_hits_and_lists_are_served_and_other_requests_are_503(
    app_with_own_redis: Flask, as_server: Headers, refuse: Any
) -> None:
    web_context, aged, shown = get_web_context(app_with_own_redis), new_id(), store_picture(app_with_own_redis)
    # A stale profile is also enqueued for a check: this write fails, the answer stays 200.
    record = json.dumps({"photo_file_id": shown, "photo_unique_id": "u", "looked_up_at": 0})
    web_context.redis.set(web_context.keys.person(aged), record)
    refuse(app_with_own_redis)
    reads = (app_with_own_redis.config["stored"], user_url(aged), "/api/partner/recent", "/api/partner/42", "/readyz")
    assert [ask(app_with_own_redis, "GET", path, headers=as_server).status_code for path in reads] == [200] * 5
    cold = ask(app_with_own_redis, "GET", file_url(new_file_id()))
    assert_problem(cold, 503)
    body = {"json": {"name": "Ann"}, "headers": as_server}
    assert_problem(ask(app_with_own_redis, "PUT", "/api/partner/7", **body), 503)
    assert_problem(ask(app_with_own_redis, "POST", "/api/partner/me", headers=as_user(7)), 503)
    warm = ask(
        app_with_own_redis, "POST", "/api/photos/warm", json={"photo_file_ids": [new_file_id()]}, headers=as_server
    )
    assert (warm.status_code, warm.headers["Retry-After"]) == (503, "1")


def test_a_wrong_command_is_an_error_of_ours_and_not_an_outage(redis: Redis) -> None:
    redis.set("text", "a")
    with pytest.raises(ResponseError) as caught:
        redis.hget("text", "a")
    assert not is_away(caught.value)
