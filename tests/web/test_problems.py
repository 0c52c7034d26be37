"""Errors are problem documents (RFC 9457), and malformed requests get a 4xx."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from gunicorn.http.body import Body, ChunkedReader
from gunicorn.http.unreader import IterUnreader

from tests.support.web_parts import Headers, assert_problem
from web.server.body_sources import BodyNeededError, UnsentBody
from web.wiring import get_web_context


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
        b"", b" ", b"{", b"{'name': 'Ann'}", b'{"name": "Ann",}', b'{"name": "Ann"} x', b'{"name": "\xff"}',
        b'\xef\xbb\xbf{"name": "Ann"}', '{"name": "Ann"}'.encode("utf-16"), b'{"name": "\\ud800"}',
        b'{"name": "\\udc00x"}', b'{"name": "a\nb"}', b"[" * 30_000, b'{"name":' * 8_000,
        b'{"name": ' + b"9" * 60_000 + b"}", b"\0", b'{"name": NaN}', b'{"name": Infinity}', b'{"ids": [-Infinity]}',
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_parsed_is_400(client: FlaskClient, as_server: Headers, data: bytes) -> None:
    assert_problem(put(client, as_server, data), 400)


@pytest.mark.parametrize(
    "data",
    [
        b"null", b"42", b'{"name": 1e999}',
        b'{"name": 123456789012345678901234567890}', b'{"name": "\\u0000"}', b'{"name": "Ann", "\\u0000": 1}',
        b'{"name": "Ann", "x": ' + b"[" * 100 + b"]" * 100 + b"}", b'{"name": {"name": {"name": "Ann"}}}',
        b'{"name": "Ann", "name": 5}',
    ],
)  # fmt: skip
def test_malformed_values_are_422(client: FlaskClient, as_server: Headers, data: bytes) -> None:
    assert assert_problem(put(client, as_server, data), 422)["errors"]


@pytest.mark.parametrize("number", ["1e2", "9" * 40, "-0.0", "1E400", '"1"', "true", "[1]", "{}"])
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


def put_unsent(client: FlaskClient, headers: Headers, length: int) -> Any:
    """PUT a body of this length, whose client waits for "100 Continue": whoever reads it asks for it."""
    unsent = {"CONTENT_LENGTH": str(length), "wsgi.input_terminated": True, "wsgi.input": UnsentBody()}
    return client.put("/api/partner/42", content_type="application/json", headers=headers, environ_overrides=unsent)


def test_no_client_is_asked_for_a_body_that_will_be_refused(client: FlaskClient, as_server: Headers) -> None:
    for headers, length, status in (({}, 15, 401), (as_server, 64 * 1024 + 1, 413), (as_server, 10**9, 413)):
        assert_problem(put_unsent(client, headers, length), status)
    with pytest.raises(BodyNeededError):
        put_unsent(client, as_server, 64 * 1024)


def test_malformed_chunks_are_400(client: FlaskClient, as_server: Headers) -> None:
    body = Body(ChunkedReader(None, IterUnreader([b"5\r\n{}\r\n0\r\n\r\n"])))
    headers = {**as_server, "Transfer-Encoding": "chunked", "Content-Type": "application/json"}
    answer = client.put(
        "/api/partner/42", headers=headers, environ_overrides={"wsgi.input_terminated": True, "wsgi.input": body}
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
    assert problem["detail"] == "name: must not hold control characters, of lines and directions too"
    assert problem["errors"] == [
        {"field": "name", "message": "must not hold control characters, of lines and directions too"}
    ]


def test_an_internal_error_is_a_500_that_reveals_nothing(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    app.add_url_rule("/broken", "broken", lambda: vars()["a secret"])
    app.add_url_rule("/wrong", "wrong", lambda: str(get_web_context(app).redis.eval("a secret", 0)))
    for path in ("/broken", "/wrong"):
        answer = app.test_client().get(path)
        assert_problem(answer, 500)
        assert b"secret" not in answer.data
        assert "X-Response-Time" in answer.headers
    assert "a secret" in caplog.text  # the log has it
