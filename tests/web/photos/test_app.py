"""The photo routes: their answers, the order of the checks, and their headers."""

from __future__ import annotations

from itertools import count

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from tests.conftest import SIGNING_KEY
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
from tests.web.photos.conftest import HIT, ON_EVERY_ANSWER, assert_has, commands, forget_one
from warmer.errors import GaveUp, InvalidFileId
from warmer.keys import Subject
from warmer.photo_urls import sign
from web.wiring import get_web_context

FILE_CACHE = "public, max-age=604800, immutable"
VOLATILE = ("X-Response-Time", "Server-Timing", "X-Request-ID", "Content-Length")


def stable_headers(answer: TestResponse) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in VOLATILE}


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
    assert answer.headers["Server-Timing"].startswith("redis;dur=500.0, total;dur=")
    total = float(answer.headers["Server-Timing"].rpartition("=")[2])
    assert 750 <= total < 10_000  # another thread may read the clock, too
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


@pytest.mark.parametrize(
    "query", ["", "?sig=", "?size=160", "?sig=AAAA", "?SIG={sig}", "?sig={sig}=", "?size=160&sig={other}"]
)
def test_a_missing_or_forged_signature_is_403(app: Flask, client: FlaskClient, query: str) -> None:
    file_id = store_picture(app)
    sig, other = sign(SIGNING_KEY, f"file:{file_id}"), sign(SIGNING_KEY, f"file:{new_file_id()}")
    answer = client.get(f"/api/photos/file/{file_id}{query.format(sig=sig, other=other)}")
    assert (answer.status_code, answer.mimetype) == (403, "application/problem+json")
    assert_has(answer, ON_EVERY_ANSWER | {"Cache-Control": "no-store"})


@pytest.mark.usefixtures("redis", "telegram")
def test_after_a_key_rotation_urls_of_both_keys_are_valid(make_app: MakeApp) -> None:
    app = make_app(url_signing_keys=f"{'n' * 32},{SIGNING_KEY}")
    file_id = store_picture(app)
    new, _ = get_web_context(app).api.urls.of(file_id)
    assert [app.test_client().get(url).status_code for url in (new, file_url(file_id), new + "x")] == [200, 200, 403]


ODD_IDS = [
    "042", "+5", "-0", "5.0", "1e2", "१", "५", " 5", "5 ", "5/", "0x5", "", "abc", str(2**52), str(-(2**52)),
    "9" * 400,
]  # fmt: skip


def test_an_id_has_one_spelling_and_others_are_403_even_if_signed(client: FlaskClient) -> None:
    answers = {name: client.get(f"/api/photos/user/{name}?sig={sign(SIGNING_KEY, f'user:{name}')}") for name in ODD_IDS}
    said = {name: (answer.status_code, answer.headers.get("Vary")) for name, answer in answers.items()}
    assert {name: one for name, one in said.items() if one != (403, "Accept")} == {}


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "/" + "A" * 20,
        "A" * 19,
        "A" * 257,
        "A" * 20 + ".",
        "A" * 20 + "/B",
        "A" * 19 + "%00",
        "A" * 19 + "é",
        "..%2F" * 9,
    ],
)
def test_a_malformed_file_id_is_403_even_if_signed(client: FlaskClient, name: str) -> None:
    assert client.get(f"/api/photos/file/{name}?sig={sign(SIGNING_KEY, f'file:{name}')}").status_code == 403


@pytest.mark.parametrize("path", ["/api/photos/file", "/api/photos//file/x", "/api/photos/users/42"])
def test_another_path_is_404_and_not_redirected(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


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


def test_unknown_hidden_absent_and_forgotten_look_the_same(app: Flask, client: FlaskClient) -> None:
    unknown = file_url(store_unavailable(app, new_file_id(), InvalidFileId("x")))
    gave_up = file_url(store_unavailable(app, new_file_id(), GaveUp("x")))
    hidden_id = new_id()
    store_unavailable(app, Subject.of_person(hidden_id))
    answers = [client.get(url) for url in (unknown, gave_up, user_url(hidden_id), file_url(forget_one(app)))]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.data for answer in answers}) == 1
    tags = [answer.headers.pop("Cache-Tag") for answer in answers]  # made from the URL
    assert [len(tag.split(",")) for tag in tags] == [1] * len(answers)
    assert all(stable_headers(answer) == stable_headers(answers[0]) for answer in answers)
    assert_has(answers[0], ON_EVERY_ANSWER | {"Cache-Control": "public, max-age=60"})


def test_if_none_match_star_does_not_match_an_absent_picture(app: Flask, client: FlaskClient) -> None:
    assert client.get(file_url(forget_one(app)), headers={"If-None-Match": "*"}).status_code == 404
