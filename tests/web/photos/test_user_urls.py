"""The photo routes: the current picture of an id, CORS, and the process's response cache."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import wait_until
from tests.support.redis_kinds import list_masters
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
from tests.web.photos.conftest import HIT, ON_EVERY_ANSWER, assert_has, commands
from warmer.flow.forget import wait_for_acknowledgements
from warmer.keys import Subject
from web.wiring import get_web_context

USER_CACHE = "public, max-age=300, stale-while-revalidate=86400"


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


@pytest.mark.usefixtures("is_subscribed")
@pytest.mark.parametrize("is_first_by_name", [True, False])
def test_a_previous_picture_is_not_cached_in_the_process(
    app: Flask, client: FlaskClient, is_first_by_name: bool
) -> None:
    web_context, user_id = get_web_context(app), new_id()
    previous, newest = sorted((new_file_id(), new_file_id()), reverse=not is_first_by_name)
    web_context.photos.people.register(user_id, "Ann", store_picture(app, previous))
    web_context.photos.people.register(user_id, "Ann", newest)
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


@pytest.fixture
def cached_url(app: Flask, is_subscribed: None, client: FlaskClient) -> str:
    """The URL of a picture in the process's cache."""
    web_context, url = get_web_context(app), file_url(store_picture(app))
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
