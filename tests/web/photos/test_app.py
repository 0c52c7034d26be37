"""The photo routes: their answers, the order of the checks, and their headers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from tests.conftest import SIGNING_KEY, wait_until
from tests.support.redis_kinds import KIND, list_calls, list_masters, reset_calls
from tests.support.web_parts import (
    MakeApp,
    body_of,
    file_url,
    new_file_id,
    new_id,
    queued,
    store_picture,
    store_unavailable,
    user_url,
)
from warmer.errors import GaveUp, InvalidFileId
from warmer.flow.forget import wait_for_acknowledgements
from warmer.keys import Subject
from web.photos.urls import sign
from web.wiring import get_web_context

FILE_CACHE = "public, max-age=604800, immutable"
USER_CACHE = "public, max-age=300, stale-while-revalidate=86400"
HIT = {
    "Content-Type": "image/webp",
    "Cache-Status": "avatar-warmer; hit",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
ON_EVERY_ANSWER = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Retry-After",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Vary": "Accept",
    "X-Content-Type-Options": "nosniff",
}
FIGURES = {"time", "multi", "exec", "hincrby", "expire"}  # commands of the minute buckets, which another thread writes
CONNECTING = {"hello", "select", "ping", "subscribe", "ssubscribe", "client|setinfo", "info", "config|resetstat"}
if KIND == "cluster":
    CONNECTING |= {"command", "cluster|slots"}
    FIGURES |= {"evalsha"}  # there the common clock is a script
VOLATILE = ("X-Response-Time", "Server-Timing", "X-Request-ID", "Content-Length")


@pytest.fixture
def app(redis: Redis, telegram: object, make_app: MakeApp) -> Flask:
    """The web tier without a worker and with a short wait."""
    return make_app(photo_wait=0.05)


def stable_headers(answer: TestResponse) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in VOLATILE}


def assert_has(answer: TestResponse, headers: dict[str, str]) -> None:
    assert {name: answer.headers.get(name) for name in headers} == headers
    assert all(len(answer.headers.getlist(name)) == 1 for name in headers)


@contextmanager
def commands(app: Flask) -> Iterator[set[str]]:
    """Returns the commands that Redis receives in this block, as the server counts them."""
    redis = get_web_context(app).redis
    seen: set[str] = set()
    reset_calls(redis)
    yield seen
    seen |= list_calls(redis) - FIGURES - CONNECTING


def test_a_stored_picture_is_200_with_every_header(app: Flask, client: FlaskClient) -> None:
    file_id = store_picture(app)
    answer = client.get(file_url(file_id))
    assert (answer.status_code, answer.data) == (200, body_of(file_id))
    assert_has(answer, HIT | ON_EVERY_ANSWER | {"Cache-Control": FILE_CACHE})
    assert answer.headers["ETag"].startswith('"')
    assert answer.headers["X-Response-Time"].endswith("ms")
    assert "redis;dur=" in answer.headers["Server-Timing"]
    assert "total;dur=" in answer.headers["Server-Timing"]


def test_an_answer_contains_its_duration_and_that_of_redis(redis: Redis, make_app: MakeApp) -> None:
    app = make_app(clock=count(100, 0.25).__next__)  # each reading of the clock advances it by a quarter of a second
    answer = app.test_client().get(file_url(store_picture(app)))
    assert answer.headers["Server-Timing"].startswith("redis;dur=250.0, total;dur=")
    total = float(answer.headers["Server-Timing"].rpartition("=")[2])
    assert 500 <= total < 10_000  # another thread may read the clock, too
    assert answer.headers["X-Response-Time"] == f"{total:.1f}ms"


def test_no_answer_sets_a_cookie_or_names_the_software(app: Flask, client: FlaskClient) -> None:
    assert not {"Set-Cookie", "X-Powered-By"} & set(client.get(file_url(store_picture(app))).headers.keys())


@pytest.mark.parametrize("size", [80, 160, 320])
def test_every_configured_size_is_served(app: Flask, client: FlaskClient, size: int) -> None:
    file_id = store_picture(app)
    assert client.get(file_url(file_id, size=size)).data == body_of(file_id, size)


def test_the_default_size_is_the_one_of_photo_url(app: Flask, client: FlaskClient) -> None:
    file_id = store_picture(app)
    assert client.get(file_url(file_id).replace("size=160&", "")).data == body_of(file_id)


def test_the_etag_depends_only_on_the_bytes(app: Flask, client: FlaskClient, make_app: MakeApp) -> None:
    file_id = store_picture(app)
    etags = {client.get(file_url(file_id, size=size)).headers["ETag"] for size in (80, 160, 320, 160)}
    assert len(etags) == 3
    app_of_another_day = make_app()
    assert app_of_another_day.test_client().get(file_url(file_id)).headers["ETag"] in etags


@pytest.mark.parametrize("case", ["200", "304", "404", "403", "400", "503"])
def test_head_is_get_without_the_body(app: Flask, client: FlaskClient, case: str) -> None:
    file_id, headers = store_picture(app), {}
    url = file_url(file_id)
    if case == "304":
        headers = {"If-None-Match": "*"}
    if case != "200":
        nothing = store_unavailable(app, new_file_id(), InvalidFileId("x"))
        urls = {
            "404": file_url(nothing),
            "403": url + "x",
            "400": file_url(file_id, size=1),
            "503": file_url(new_file_id()),
        }
        url = urls.get(case, url)
    get, head = client.get(url, headers=headers), client.head(url, headers=headers)
    assert (str(get.status_code), head.status_code, head.data) == (case, get.status_code, b"")
    assert stable_headers(head) == stable_headers(get)
    assert head.headers.get("Content-Length") == get.headers.get("Content-Length")


# Signatures


@pytest.mark.parametrize(
    "query", ["", "?sig=", "?size=160", "?sig=AAAA", "?SIG={sig}", "?sig={sig}=", "?size=160&sig={other}"]
)
def test_a_missing_or_forged_signature_is_403(app: Flask, client: FlaskClient, query: str) -> None:
    file_id = store_picture(app)
    sig, other = sign(SIGNING_KEY, f"file:{file_id}"), sign(SIGNING_KEY, f"file:{new_file_id()}")
    answer = client.get(f"/api/photos/file/{file_id}{query.format(sig=sig, other=other)}")
    assert (answer.status_code, answer.mimetype) == (403, "application/problem+json")
    assert_has(answer, ON_EVERY_ANSWER | {"Cache-Control": "no-store"})


def test_a_signature_of_one_kind_is_not_valid_for_the_other(app: Flask, client: FlaskClient) -> None:
    file_id = store_picture(app)
    assert client.get(f"/api/photos/file/{file_id}?sig={sign(SIGNING_KEY, f'user:{file_id}')}").status_code == 403
    assert client.get(f"/api/photos/user/42?sig={sign(SIGNING_KEY, 'file:42')}").status_code == 403


@pytest.mark.usefixtures("redis", "telegram")
def test_after_a_key_rotation_urls_of_both_keys_are_valid(make_app: MakeApp) -> None:
    app = make_app(url_signing_keys=f"{'n' * 32},{SIGNING_KEY}")
    file_id = store_picture(app)
    new, _ = get_web_context(app).api.urls.of(file_id)
    assert [app.test_client().get(url).status_code for url in (new, file_url(file_id), new + "x")] == [200, 200, 403]


ODD_IDS = [
    "042",
    "+5",
    "-0",
    "5.0",
    "1e2",
    "१",
    "५",
    " 5",
    "5 ",
    "5/",
    "0x5",
    "",
    "abc",
    str(2**52),
    str(-(2**52)),
    "9" * 400,
]


def test_an_id_has_one_spelling_and_others_are_403_even_if_signed(client: FlaskClient) -> None:
    names = [name for name in ODD_IDS if name]
    answers = {name: client.get(f"/api/photos/user/{name}?sig={sign(SIGNING_KEY, f'user:{name}')}") for name in names}
    said = {name: (answer.status_code, answer.headers.get("Vary")) for name, answer in answers.items()}
    assert {name: one for name, one in said.items() if one != (403, "Accept")} == {}


@pytest.mark.parametrize(
    "name", ["A" * 19, "A" * 257, "A" * 20 + ".", "A" * 20 + "/B", "A" * 19 + "%00", "A" * 19 + "é", "..%2F" * 9]
)
def test_a_malformed_file_id_is_403_even_if_signed(client: FlaskClient, name: str) -> None:
    assert client.get(f"/api/photos/file/{name}?sig={sign(SIGNING_KEY, f'file:{name}')}").status_code == 403


@pytest.mark.parametrize(
    "path", ["/api/photos/file/", "/api/photos/file//AAAA", "/api/photos//file/x", "/api/photos/user/"]
)
def test_another_path_is_404_and_not_redirected(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


# The order of the checks


def test_an_unconfigured_size_is_400(app: Flask, client: FlaskClient) -> None:
    file_id = store_picture(app)
    for size in ["0", "1", "161", "-160", "abc", "", "160.0", "0160", "+160", " 160", "1e2", "१६०", "9" * 5000]:
        answer = client.get(file_url(file_id, size=size))
        assert (answer.status_code, answer.mimetype) == (400, "application/problem+json"), size
        assert_has(answer, ON_EVERY_ANSWER | {"Cache-Control": "no-store"})


def test_two_sizes_are_400(app: Flask, client: FlaskClient) -> None:
    assert client.get(file_url(store_picture(app)) + "&size=80").status_code == 400


def test_a_bad_signature_is_checked_before_a_bad_size(app: Flask, client: FlaskClient) -> None:
    assert client.get(file_url(store_picture(app), size=1, sig="AAAA")).status_code == 403


@pytest.mark.parametrize("status", [403, 400])
def test_a_refused_request_sends_no_command_to_redis(app: Flask, client: FlaskClient, status: int) -> None:
    url = file_url(new_file_id(), **({"sig": "AAAA"} if status == 403 else {"size": 1}))
    with commands(app) as seen:
        assert client.get(url).status_code == status
    assert seen == set()


def test_a_bad_size_is_checked_before_an_absent_picture(app: Flask, client: FlaskClient) -> None:
    file_id = store_unavailable(app, new_file_id(), InvalidFileId("x"))
    assert client.get(file_url(file_id, size=1)).status_code == 400


def test_a_stored_picture_is_served_despite_a_later_failure(app: Flask, client: FlaskClient) -> None:
    file_id = store_picture(app)
    store_unavailable(app, file_id, GaveUp("x"))
    assert client.get(file_url(file_id)).status_code == 200


def test_a_picture_that_is_not_ready_in_time_is_503_and_not_cached(client: FlaskClient) -> None:
    answer = client.get(file_url(new_file_id()))
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    assert_has(answer, ON_EVERY_ANSWER | {"Retry-After": "1", "Cache-Control": "no-store"})


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_another_method_is_405(client: FlaskClient, method: str) -> None:
    answer = client.open(file_url(new_file_id()), method=method)
    assert (answer.status_code, answer.mimetype) == (405, "application/problem+json")
    assert {"GET", "HEAD"} <= set(answer.headers["Allow"].split(", "))
    assert_has(answer, ON_EVERY_ANSWER)


# No photo


def forget_one(app: Flask) -> str:
    web_context, user_id, file_id = get_web_context(app), new_id(), store_picture(app)
    web_context.photos.people.register(user_id, "Ann", file_id)
    web_context.api.forget.person(user_id)
    return file_id


def test_unknown_hidden_absent_and_forgotten_look_the_same(app: Flask, client: FlaskClient) -> None:
    unknown = file_url(store_unavailable(app, new_file_id(), InvalidFileId("x")))
    gave_up = file_url(store_unavailable(app, new_file_id(), GaveUp("x")))
    hidden_id = new_id()
    store_unavailable(app, Subject.of_person(hidden_id))
    answers = [client.get(url) for url in (unknown, gave_up, user_url(hidden_id), file_url(forget_one(app)))]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.data for answer in answers}) == 1
    assert all(stable_headers(answer) == stable_headers(answers[0]) for answer in answers)
    assert_has(answers[0], ON_EVERY_ANSWER | {"Cache-Control": "public, max-age=60"})


def test_if_none_match_star_does_not_match_an_absent_picture(app: Flask, client: FlaskClient) -> None:
    assert client.get(file_url(forget_one(app)), headers={"If-None-Match": "*"}).status_code == 404


def test_a_forgotten_picture_is_not_enqueued(app: Flask, client: FlaskClient, telegram: Any) -> None:
    url = file_url(forget_one(app))
    assert [client.get(url).status_code for _ in range(3)] == [404] * 3
    assert queued(app, "hot") == queued(app, "warm") == queued(app, "rewarm") == []
    assert not telegram.calls


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
        "ETag",
        "Cache-Control",
        "Vary",
        "Cache-Status",
        "Access-Control-Allow-Origin",
        "Cross-Origin-Resource-Policy",
    )
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


# Formats


@pytest.mark.parametrize(
    ("accept", "sent"),
    [
        (None, "jpeg"),
        ("*/*", "jpeg"),
        ("image/*", "jpeg"),
        ("image/webp", "webp"),
        ("image/webp, */*", "webp"),
        ("image/jpeg", "jpeg"),
        ("image/webp;q=0, */*", "jpeg"),
        ("image/jpeg, image/webp;q=0.9", "jpeg"),
        ("image/jpeg, image/webp", "webp"),
        ("text/html", "jpeg"),
        ("image/webp;q=0, image/jpeg;q=0", "jpeg"),
    ],
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


# User URLs


def test_a_registered_id_shows_its_picture(app: Flask, client: FlaskClient) -> None:
    user_id, file_id = new_id(), store_picture(app)
    get_web_context(app).photos.people.register(user_id, "Ann", file_id)
    answer = client.get(user_url(user_id))
    assert (answer.status_code, answer.data) == (200, body_of(file_id))
    assert_has(answer, HIT | ON_EVERY_ANSWER | {"Cache-Control": USER_CACHE})


def test_a_304_of_a_user_url_has_the_short_cache_control(app: Flask, client: FlaskClient) -> None:
    user_id = new_id()
    get_web_context(app).photos.people.register(user_id, "Ann", store_picture(app))
    etag = client.get(user_url(user_id)).headers["ETag"]
    answer = client.get(user_url(user_id), headers={"If-None-Match": etag})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (304, USER_CACHE)


def test_the_previous_picture_is_served_until_the_new_one_is_ready(app: Flask, client: FlaskClient) -> None:
    directory, user_id, old, new = get_web_context(app).photos.people, new_id(), store_picture(app), new_file_id()
    directory.register(user_id, "Ann", old)
    directory.register(user_id, "Ann", new)
    assert client.get(user_url(user_id)).data == body_of(old)
    store_picture(app, new)
    assert client.get(user_url(user_id)).data == body_of(new)


@pytest.mark.parametrize("is_first_by_name", [True, False])
def test_a_previous_picture_is_not_cached_in_the_process(
    app: Flask, client: FlaskClient, is_first_by_name: bool
) -> None:
    web_context, user_id = get_web_context(app), new_id()
    previous, newest = sorted((new_file_id(), new_file_id()), reverse=not is_first_by_name)
    web_context.photos.people.register(user_id, "Ann", store_picture(app, previous))
    web_context.photos.people.register(user_id, "Ann", newest)
    web_context.photos.listener.ensure_started()
    wait_until(lambda: web_context.photos.cache.hears_purges)
    wait_for_acknowledgements(web_context.redis, web_context.keys)  # a purge in between would also prevent caching
    assert client.get(user_url(user_id)).data == body_of(previous)
    assert web_context.photos.cache.bytes == 0


@pytest.mark.parametrize("user_id", [0, -42, -1001234567890, 2**52 - 1, -(2**52) + 1])
def test_ids_of_every_kind_can_have_a_picture(app: Flask, client: FlaskClient, user_id: int) -> None:
    file_id = store_picture(app)
    get_web_context(app).photos.people.register(user_id, "A group", file_id)
    assert client.get(user_url(user_id)).data == body_of(file_id)


def test_an_id_without_a_picture_is_404_at_once(app: Flask, client: FlaskClient) -> None:
    user_id = new_id()
    get_web_context(app).photos.people.register(user_id, "Ann", None)
    store_unavailable(app, Subject.of_person(user_id))
    answer = client.get(user_url(user_id))
    assert (answer.status_code, answer.headers["Cache-Control"]) == (404, "public, max-age=60")
    assert queued(app, "hot") == []


# CORS


@pytest.mark.usefixtures("redis", "telegram")
@pytest.mark.parametrize("origins", ["", "https://app.example", "https://app.example,https://b.example"])
@pytest.mark.parametrize("origin", [None, "https://app.example", "https://evil.example", "null"])
def test_pictures_are_open_to_every_origin_regardless_of_the_setting(
    origins: str, origin: str | None, make_app: MakeApp
) -> None:
    app = make_app(cors_origins=origins, photo_wait=0)
    headers = {"Origin": origin} if origin else {}
    for url in (
        file_url(store_picture(app)),
        file_url(new_file_id()),
        file_url(new_file_id(), sig=""),
        user_url(42, size=1),
    ):
        assert_has(app.test_client().get(url, headers=headers), ON_EVERY_ANSWER)


def test_a_preflight_of_a_picture_is_answered(client: FlaskClient) -> None:
    asking = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    answer = client.options(file_url(new_file_id()), headers=asking)
    assert answer.status_code == 200
    assert_has(answer, {"Access-Control-Allow-Origin": "*"})
    assert "Access-Control-Allow-Credentials" not in answer.headers


# The process's response cache


@pytest.fixture
def cached_url(app: Flask, client: FlaskClient) -> str:
    """The URL of a picture in the process's cache."""
    web_context, url = get_web_context(app), file_url(store_picture(app))
    web_context.photos.listener.ensure_started()
    wait_until(lambda: web_context.photos.cache.hears_purges)
    wait_until(lambda: client.get(url).status_code == 200 and web_context.photos.cache.bytes)
    return url


def test_a_cached_picture_is_answered_without_redis(app: Flask, client: FlaskClient, cached_url: str) -> None:
    etag = client.get(cached_url).headers["ETag"]
    with commands(app) as seen:
        assert client.get(cached_url).status_code == 200
        assert client.get(cached_url, headers={"If-None-Match": etag}).status_code == 304
        assert client.head(cached_url).data == b""
    assert seen == set()


def test_a_forgotten_picture_leaves_the_cache_at_once(app: Flask, client: FlaskClient, cached_url: str) -> None:
    get_web_context(app).photos.store.forget(cached_url.split("/")[4].split("?")[0])
    assert wait_for_acknowledgements(get_web_context(app).redis, get_web_context(app).keys)
    assert client.get(cached_url).status_code == 404


def test_without_a_purge_subscription_redis_is_asked_first(app: Flask, client: FlaskClient, cached_url: str) -> None:
    web_context = get_web_context(app)
    web_context.photos.cache.close()
    web_context.redis.set(web_context.keys.forgotten(file_id := cached_url.split("/")[4].split("?")[0]), "1")
    web_context.redis.delete(*(web_context.keys.variant(file_id, size, "webp") for size in (80, 160, 320)))
    assert client.get(cached_url).status_code == 404
    open_redis_breaker(app)
    assert (
        client.get(cached_url).status_code == 503
    )  # a picture that Redis has denied is not served from the cache again


@pytest.mark.parametrize("event", ["close", "open"])
def test_without_redis_a_stale_cached_picture_is_served(
    app: Flask, client: FlaskClient, cached_url: str, event: str
) -> None:
    """Also after a new subscription, before Redis is asked."""
    getattr(get_web_context(app).photos.cache, event)()
    open_redis_breaker(app)
    assert client.get(cached_url).headers["Cache-Status"] == "avatar-warmer; hit"
    assert client.get(file_url(new_file_id())).status_code == 503


def open_redis_breaker(app: Flask) -> None:
    """As after a timeout."""
    for master in list_masters(get_web_context(app).redis):
        master.connection_pool.open()


def test_an_internal_error_is_500_with_every_header(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = file_url(store_picture(app))
    monkeypatch.setattr(get_web_context(app).photos.cache, "get", lambda _: 1 / 0)
    answer = client.get(url)
    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
    assert_has(answer, ON_EVERY_ANSWER)
