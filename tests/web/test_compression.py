"""Which answers are compressed, for whom, and what their headers say then."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from flask import Flask, Response, send_file
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import API_KEY
from tests.support.web_parts import PREVIEW, MakeApp, file_url, new_file_id, new_id
from warmer.photo import Rendering, Variant
from warmer.state.lease import LeaseManager
from web import compression
from web.compression import MIN_BYTES
from web.wiring import get_web_context

GZIP = {"Accept-Encoding": "gzip"}
LIST = "/api/partner/recent?limit=3"
SCRIPT = "/static/lazy-image.js"
OWN = ("X-Request-ID", "X-Response-Time", "Server-Timing", "Date")


def open_client(app: Flask) -> FlaskClient:
    """A client with an API key, of a service with a list of more than 1 kB."""
    for _ in range(3):
        get_web_context(app).photos.people.register(new_id(), "Ann", new_file_id())
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {API_KEY}"
    return client


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return open_client(app)


def is_compressed(answer: TestResponse) -> bool:
    return answer.headers.get("Content-Encoding") == "gzip"


@pytest.mark.parametrize("path", ["/", "/ops", "/ops.json", "/openapi.json", LIST, SCRIPT, "/static/page.css"])
def test_lists_json_pages_scripts_and_styles_are_compressed_for_a_client_that_accepts_it(
    client: FlaskClient, path: str
) -> None:
    plain, packed = client.get(path), client.get(path, headers=GZIP)
    assert (packed.status_code, is_compressed(packed), is_compressed(plain)) == (200, True, False)
    assert packed.mimetype == plain.mimetype
    assert packed.content_length == len(packed.data) < 0.7 * len(plain.data)
    assert len(gzip.decompress(packed.data)) == pytest.approx(len(plain.data), abs=10)  # /ops shows times
    assert "Accept-Encoding" in packed.vary
    assert "Accept-Encoding" in plain.vary
    if path in (LIST, SCRIPT):
        assert gzip.decompress(packed.data) == plain.data


WANTED = ["gzip", "GZIP", "gzip, deflate, br", "br;q=1, gzip;q=0.1", "*", "gzip;q=0.5, identity;q=0.5", "*;q=0, gzip"]
UNWANTED = [None, "", "identity", "br", "gzip;q=0", "gzip;q=0.0, *", "*;q=0", "gzip;q=0.5, identity", "x-gzip"]


def test_the_client_decides(client: FlaskClient) -> None:
    def ask(accepted: str | None) -> bool:
        return is_compressed(client.get(SCRIPT, headers={} if accepted is None else {"Accept-Encoding": accepted}))

    assert [accepted for accepted in WANTED if not ask(accepted)] == []
    assert [accepted for accepted in UNWANTED if ask(accepted)] == []


@pytest.mark.parametrize("path", ["/openapi.json", SCRIPT, "/static/page.css"])
def test_what_never_changes_is_compressed_once_and_as_well_as_gzip_can(
    client: FlaskClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, packed = client.get(path), client.get(path, headers=GZIP)
    assert packed.data == gzip.compress(plain.data, 9, mtime=0)

    def refuse(*_: object, **__: object) -> bytes:
        raise AssertionError("it is compressed again")

    monkeypatch.setattr(gzip, "compress", refuse)
    assert client.get(path, headers=GZIP).data == packed.data


def test_an_answer_that_is_encoded_or_streamed_passes_as_it_is(tmp_path: Path) -> None:
    body = b"x" * 5 * MIN_BYTES
    (tmp_path / "page.html").write_bytes(body)
    app = Flask(__name__)
    compression.init_app(app)
    packed = {"Content-Encoding": "br"}
    app.add_url_rule("/encoded", "encoded", lambda: Response(body, headers=packed, mimetype="text/html"))
    app.add_url_rule("/streamed", "streamed", lambda: Response(iter([body]), mimetype="text/html"))
    app.add_url_rule("/file", "file", lambda: send_file(tmp_path / "page.html"))
    app.add_url_rule("/text", "text", lambda: Response(body, mimetype="text/html"))
    client = app.test_client()
    assert is_compressed(client.get("/text", headers=GZIP))
    for path, encoding in (("/encoded", "br"), ("/streamed", None), ("/file", None)):
        with client.get(path, headers=GZIP) as answer:
            assert (answer.status_code, answer.data) == (200, body)
            assert answer.headers.get("Content-Encoding") == encoding


def test_a_small_answer_and_a_problem_are_never_compressed(client: FlaskClient) -> None:
    small = client.get("/healthz", headers=GZIP)
    assert len(small.data) < MIN_BYTES
    problem = client.post("/api/photos/warm", json={"photo_file_ids": ["?"] * 100}, headers=GZIP)
    assert (problem.status_code, len(problem.data) > MIN_BYTES) == (422, True)
    for answer in (small, problem):
        assert not is_compressed(answer)
        assert "Vary" not in answer.headers


def test_a_picture_is_never_compressed(app: Flask, client: FlaskClient) -> None:
    context, file_id, body = get_web_context(app), new_file_id(), b"x" * 5 * MIN_BYTES
    leases = LeaseManager(context.redis, context.keys)
    lease = leases.take(file_id, "warm")
    context.photos.store.put(lease, Rendering((Variant(160, "webp", body),), PREVIEW, "unique"))
    leases.release(lease)
    answer = client.get(file_url(file_id), headers={**GZIP, "Accept": "image/webp"})
    assert (answer.status_code, answer.data, answer.headers["Vary"]) == (200, body, "Accept")
    assert not is_compressed(answer)


@pytest.mark.parametrize("path", [LIST, SCRIPT])
def test_head_has_the_headers_of_get(client: FlaskClient, path: str) -> None:
    get, head = client.get(path, headers=GZIP), client.head(path, headers=GZIP)
    assert head.data == b""
    assert [pair for pair in head.headers if pair[0] not in OWN] == [pair for pair in get.headers if pair[0] not in OWN]


def test_the_etag_of_a_compressed_answer_is_weak_and_its_304_says_the_same(client: FlaskClient) -> None:
    plain, packed = client.get(SCRIPT), client.get(SCRIPT, headers=GZIP)
    strong, weak = plain.headers["ETag"], packed.headers["ETag"]
    assert weak == f"W/{strong}"
    for known in (strong, weak):
        for accepted, etag in ((GZIP, weak), ({}, strong)):
            answer = client.get(SCRIPT, headers={**accepted, "If-None-Match": known})
            assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", etag)
            assert answer.headers["Vary"] == "Accept-Encoding"
            assert answer.headers["Cache-Control"] == packed.headers["Cache-Control"]
    assert client.get(SCRIPT, headers={**GZIP, "If-None-Match": '"another"'}).status_code == 200


def test_a_part_is_one_of_the_uncompressed_bytes(client: FlaskClient) -> None:
    plain, packed = client.get(SCRIPT), client.get(SCRIPT, headers=GZIP)
    assert (plain.headers.get("Accept-Ranges"), packed.headers.get("Accept-Ranges")) == ("bytes", None)
    part = client.get(SCRIPT, headers={**GZIP, "Range": "bytes=0-1999"})
    assert (part.status_code, part.data, is_compressed(part)) == (206, plain.data[:2000], False)
    assert (part.headers["ETag"], part.headers["Vary"]) == (plain.headers["ETag"], "Accept-Encoding")
    # No part may continue a compressed answer: its ETag, which is weak, never satisfies If-Range (RFC 9110, 13.1.5).
    resumed = client.get(SCRIPT, headers={**GZIP, "Range": "bytes=5-", "If-Range": packed.headers["ETag"]})
    assert (resumed.status_code, resumed.data) == (200, packed.data)


def test_an_if_match_that_fails_gets_the_headers_of_the_uncompressed_file(client: FlaskClient) -> None:
    plain, answer = client.get(SCRIPT), client.get(SCRIPT, headers={**GZIP, "If-Match": '"another"'})
    assert (answer.status_code, is_compressed(answer)) == (412, False)
    assert (answer.headers["ETag"], answer.headers["Vary"]) == (plain.headers["ETag"], "Accept-Encoding")


def test_a_cache_also_keeps_the_answers_for_other_origins_apart(redis: object, make_app: MakeApp) -> None:
    client = open_client(make_app(cors_origins="https://app.example,https://b.example"))
    vary = client.get(LIST, headers={**GZIP, "Origin": "https://app.example"}).headers.getlist("Vary")
    assert {name.strip() for line in vary for name in line.split(",")} == {"Accept-Encoding", "Origin"}
