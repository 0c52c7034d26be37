"""The routes behind the demo's control: they empty the first pictures, and list without warming."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import wait_until
from tests.support.steps import is_ready
from tests.support.web_parts import as_user, file_url, new_id, queued, store_picture
from tests.web.pages.conftest import sign_in
from web.api.partners import LIST_MAX
from web.pages.comparison import FIRST
from web.wiring import get_web_context

OWN = {"Origin": "http://localhost"}
ROUTES = [("POST", "/demo/empty"), ("GET", "/demo/recent")]


@pytest.fixture
def pictures(demo_app: Flask) -> list[str]:
    """The file ids of six partners with stored pictures, newest first."""
    file_ids = [store_picture(demo_app) for _ in range(FIRST + 2)]
    for file_id in file_ids:
        get_web_context(demo_app).photos.people.register(new_id(), "Ann", file_id)
    return file_ids[::-1]


@pytest.fixture
def operator(demo_app: Flask) -> FlaskClient:
    return sign_in(demo_app.test_client())


def list_statuses(client: FlaskClient) -> list[str]:
    answer: Any = client.get("/demo/recent")
    return [partner["photo_status"] for partner in answer.json["partners"]]


def test_emptying_deletes_the_newest_pictures_and_leaves_partners_and_all_other_pictures(
    operator: FlaskClient, pictures: list[str]
) -> None:
    before: Any = operator.get("/demo/recent").json
    assert {partner["photo_status"] for partner in before["partners"]} == {"ready"}
    assert operator.post("/demo/empty", headers=OWN).status_code == 204
    after: Any = operator.get("/demo/recent").json
    for name in ("id", "name", "joined_at", "photo_file_id", "photo_url"):
        assert [one[name] for one in after["partners"]] == [one[name] for one in before["partners"]]
    assert list_statuses(operator) == ["warming"] * FIRST + ["ready"] * 2


def test_emptied_pictures_are_not_served_from_memory_and_can_be_warmed_again(
    demo_app: Flask, operator: FlaskClient, pictures: list[str]
) -> None:
    accepts = {"Accept": "image/webp"}
    cache = get_web_context(demo_app).photos.cache
    assert operator.get(file_url(pictures[0]), headers=accepts).status_code == 200
    wait_until(lambda: cache.hears_purges)
    assert operator.get(file_url(pictures[0]), headers=accepts).status_code == 200
    assert cache.bytes
    assert operator.post("/demo/empty", headers=OWN).status_code == 204
    assert operator.get(file_url(pictures[0]), headers=accepts).status_code == 503
    store_picture(demo_app, pictures[0])
    assert operator.get(file_url(pictures[0]), headers=accepts).status_code == 200


def test_a_demo_without_partners_is_empty_already(operator: FlaskClient) -> None:
    assert operator.post("/demo/empty", headers=OWN).status_code == 204
    assert list_statuses(operator) == []


def test_the_list_of_the_comparison_warms_nothing_and_is_otherwise_that_of_the_page(
    demo_app: Flask, operator: FlaskClient, pictures: list[str], as_server: dict[str, str]
) -> None:
    operator.post("/demo/empty", headers=OWN)
    without: Any = operator.get("/demo/recent")
    assert without.headers["Cache-Control"] == "no-store"
    assert queued(demo_app) == []
    ordinary: Any = operator.get(f"/api/partner/recent?limit={LIST_MAX}", headers=as_server)
    assert without.json == ordinary.json
    assert sorted(queued(demo_app)) == sorted(pictures[:FIRST])


# Who may


@pytest.mark.parametrize(
    "origin", [None, "", "null", "http://evil.example", "http://localhost:9", "http://localhost@evil.example"]
)
def test_only_the_page_itself_can_empty(operator: FlaskClient, pictures: list[str], origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin}
    assert operator.post("/demo/empty", headers=headers).status_code == 403
    assert set(list_statuses(operator)) == {"ready"}


def test_the_routes_want_the_page_key_or_an_api_key(
    demo_app: Flask, pictures: list[str], as_server: dict[str, str]
) -> None:
    stranger = demo_app.test_client()
    for method, path in ROUTES:
        assert stranger.open(path, method=method, headers=OWN).status_code == 401
        assert stranger.open(path, method=method, headers=OWN | as_user(42)).status_code == 403
    assert is_ready(get_web_context(demo_app).photos.store, pictures[0])
    for method, path in ROUTES:
        assert stranger.open(path, method=method, headers=OWN | as_server).status_code in (200, 204)


def test_under_another_name_than_the_machines_own_a_demo_empties_nothing(
    demo_app: Flask, operator: FlaskClient, pictures: list[str], as_server: dict[str, str]
) -> None:
    evil = as_server | {"Host": "evil.example", "Origin": "http://evil.example"}
    assert operator.post("/demo/empty", headers=evil).status_code == 403
    assert is_ready(get_web_context(demo_app).photos.store, pictures[0])


def test_a_bot_of_ones_own_has_no_such_routes(client: FlaskClient, as_server: dict[str, str]) -> None:
    for method, path in ROUTES:
        assert client.open(path, method=method, headers=OWN | as_server).status_code == 404
