"""Partners and photos as the API shows them."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import SIGNING_KEY
from tests.support.web_parts import PREVIEW, MakeApp, new_id, store_picture, store_unavailable
from warmer.keys import Subject
from warmer.photo import version_of
from warmer.photo_urls import sign
from web.api.partner_json import show_partners, show_status
from web.wiring import get_web_context


def show(app: Flask, subject: str) -> dict[str, Any]:
    web_context = get_web_context(app)
    return show_status(subject, web_context.photos.store.get_statuses([subject])[0], web_context.api)


def test_no_photo_and_a_forgotten_one_are_none_without_a_url(app: Flask) -> None:
    get_web_context(app).photos.store.forget(forgotten := store_picture(app))
    for subject in (store_unavailable(app, Subject.of_person(new_id())), forgotten):
        assert show(app, subject) == {
            "status": "none",
            "photo_url": None,
            "photo_srcset": None,
            "photo_placeholder": None,
            "photo_version": None,
        }


def test_a_ready_picture_has_urls_a_preview_and_a_version(app: Flask) -> None:
    file_id = store_picture(app)
    shown = show(app, file_id)
    assert shown["photo_placeholder"] == PREVIEW
    assert shown["photo_version"] == version_of(f"unique-{file_id}") != show(app, store_picture(app))["photo_version"]
    assert (shown["photo_url"], shown["photo_srcset"]) == get_web_context(app).api.urls.of(file_id)


def test_a_partner_with_an_unknown_picture_has_the_url_of_the_id(app: Flask) -> None:
    web_context, user_id = get_web_context(app), new_id()
    partner, *_ = web_context.photos.people.register(user_id, "Ann", None)
    (shown,) = show_partners([partner], web_context.api)
    assert (shown["photo_status"], shown["photo_ready"], shown["photo_file_id"]) == ("warming", False, None)
    assert shown["photo_url"] == f"/api/photos/user/{user_id}?size=160&sig={sign(SIGNING_KEY, f'user:{user_id}')}"


def test_an_empty_list_needs_no_redis(app: Flask) -> None:
    assert show_partners([], get_web_context(app).api) == []


@pytest.mark.usefixtures("redis", "telegram")
def test_urls_begin_with_the_public_url(as_server: dict[str, str], make_app: MakeApp) -> None:
    app = make_app(public_url="https://cdn.example/avatars/")
    client: FlaskClient = app.test_client()
    partner: Any = client.put("/api/partner/42", json={"name": "Ann"}, headers=as_server).json
    assert partner["photo_url"].startswith("https://cdn.example/avatars/api/photos/user/42?")
    assert partner["photo_srcset"].count("https://cdn.example/avatars/api/photos/user/42?") == 3


def test_every_shown_url_works(app: Flask, client: FlaskClient, as_server: dict[str, str]) -> None:
    body = {"name": "Ann", "photo_file_id": store_picture(app)}
    partner: Any = client.put("/api/partner/42", json=body, headers=as_server).json
    sources = [part.rsplit(" ", 1) for part in partner["photo_srcset"].split(", ")]
    assert [width for _, width in sources] == ["80w", "160w", "320w"]
    assert {client.get(url).status_code for url in (partner["photo_url"], *(url for url, _ in sources))} == {200}


def test_names_are_not_escaped(client: FlaskClient, as_server: dict[str, str]) -> None:
    answer = client.put("/api/partner/42", json={"name": "李小龙 🌈"}, headers=as_server)
    assert "李小龙 🌈" in answer.get_data(as_text=True)
