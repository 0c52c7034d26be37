"""The photo routes: conditional requests and formats."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.web_parts import MakeApp, body_of, file_url, new_file_id, queued, store_picture
from tests.web.photos.conftest import assert_has, commands, forget_one
from web.wiring import get_web_context

# Conditional requests
MATCHES = ["{etag}", "W/{etag}", '"x", {etag}', '{etag}, "x"', 'W/"x" ,W/{etag}', "*"]
MISMATCHES = ['"x"', 'W/"x", "y"', "{bare}", '"{bare}', '"{bare}x"', "", ",", "'{bare}'"]


@pytest.mark.parametrize("header", MATCHES)
def test_a_matching_etag_gets_304(app: Flask, client: FlaskClient, header: str) -> None:
    url = file_url(store_picture(app))
    full = client.get(url)
    etag = full.headers["ETag"]
    answer = client.get(url, headers={"If-None-Match": header.format(etag=etag)})
    assert (answer.status_code, answer.data) == (304, b"")
    same = (
        "ETag", "Cache-Control", "Cache-Tag", "Vary", "Cache-Status", "Access-Control-Allow-Origin",
        "Cross-Origin-Resource-Policy",
    )  # fmt: skip
    assert_has(answer, {name: full.headers[name] for name in same})
    assert "Content-Type" not in answer.headers


@pytest.mark.parametrize("header", MISMATCHES)
def test_another_etag_gets_the_picture(app: Flask, client: FlaskClient, header: str) -> None:
    file_id = store_picture(app)
    bare = client.get(file_url(file_id)).headers["ETag"].strip('"')
    answer = client.get(file_url(file_id), headers={"If-None-Match": header.format(bare=bare)})
    if header != "{bare}":  # an entity tag without quotes is accepted
        assert (answer.status_code, answer.data) == (200, body_of(file_id))


def test_the_etag_of_another_size_or_format_is_a_mismatch(app: Flask, client: FlaskClient) -> None:
    file_id = store_picture(app)
    store_picture(app, file_id, "jpeg")
    etag = client.get(file_url(file_id, size=80)).headers["ETag"]
    assert client.get(file_url(file_id), headers={"If-None-Match": etag}).status_code == 200
    jpeg = {"If-None-Match": etag, "Accept": "image/jpeg"}
    assert client.get(file_url(file_id, size=80), headers=jpeg).status_code == 200


def test_a_304_reads_no_picture_bytes_from_redis(app: Flask, client: FlaskClient) -> None:
    url = file_url(store_picture(app))
    etag = client.get(url).headers["ETag"]
    with commands(app) as seen:
        assert client.get(url, headers={"If-None-Match": etag}).status_code == 304
    assert seen == {"getrange"}


def test_a_hit_is_one_redis_command(app: Flask, client: FlaskClient) -> None:
    url = file_url(store_picture(app))
    with commands(app) as seen:
        assert client.get(url).status_code == 200
    assert seen == {"get"}


def test_a_broken_redis_value_is_never_sent(app: Flask, client: FlaskClient) -> None:
    web_context, file_id = get_web_context(app), store_picture(app)
    for value in (b"", b"\x01short", b"\x02" + b"0" * 40):
        web_context.redis.set(web_context.keys.variant(file_id, 160, "webp"), value)
        assert client.get(file_url(file_id)).status_code == 503
        assert client.get(file_url(file_id), headers={"If-None-Match": "*"}).status_code == 503


@pytest.mark.parametrize(
    ("accept", "sent"),
    [(None, "jpeg"), ("image/webp, */*", "webp"), ("text/html", "jpeg"), ("image/webp;q=0, image/jpeg;q=0", "jpeg")],
)
def test_the_format_follows_accept_and_is_never_406(app: Flask, accept: str | None, sent: str) -> None:
    file_id = store_picture(app)
    store_picture(app, file_id, "jpeg")
    answer = FlaskClient(app).get(file_url(file_id), headers={"Accept": accept} if accept else {})
    assert (answer.status_code, answer.data) == (200, body_of(file_id, 160, sent))
    assert_has(answer, {"Content-Type": f"image/{sent}", "Vary": "Accept"})


@pytest.mark.usefixtures("redis", "telegram")
@pytest.mark.parametrize("stored", ["webp", "avif"])
def test_of_two_that_suit_equally_the_stored_one_is_sent(make_app: MakeApp, stored: str) -> None:
    app = make_app(photo_formats="avif,webp,jpeg")
    headers = {"Accept": "image/webp, image/avif, image/jpeg"}
    answer = app.test_client().get(file_url(store_picture(app, fmt=stored)), headers=headers)
    assert_has(answer, {"Content-Type": f"image/{stored}", "Cache-Status": "avatar-warmer; hit"})


def test_a_named_format_is_made_although_a_jpeg_is_stored(app: Flask, client: FlaskClient) -> None:
    file_id = store_picture(app, fmt="jpeg")
    assert client.get(file_url(file_id), headers={"Accept": "image/webp, image/jpeg"}).status_code == 503
    assert queued(app, "hot") == [file_id]


@pytest.mark.usefixtures("redis", "telegram")
@pytest.mark.parametrize("case", [200, 304, 400, 403, 404, 405, 503])
def test_with_one_format_there_is_no_vary_header(case: int, make_app: MakeApp) -> None:
    app = make_app(photo_formats="webp", photo_wait=0)
    client, file_id = app.test_client(), store_picture(app)
    urls = {400: file_url(file_id, size=1), 403: file_url(file_id, sig=""), 503: file_url(new_file_id())}
    url = urls.get(case, file_url(forget_one(app) if case == 404 else file_id))
    headers = {"If-None-Match": "*", "Accept": "image/jpeg", "Origin": "https://app.example"}
    headers = headers if case == 304 else {"Accept": "image/jpeg"}
    answer = client.open(url, method="POST" if case == 405 else "GET", headers=headers)
    assert answer.status_code == case
    assert "Vary" not in answer.headers
