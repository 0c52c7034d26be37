"""The webhook on the operators' page, in /ops.json and in /metrics."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from redis import Redis

from faketelegram import FakeTelegram
from tests.conftest import API_KEY
from tests.support.receiver import SECRET
from tests.support.web_parts import MakeApp, new_id, store_picture
from warmer.state.outbox import Outbox
from web.wiring import get_web_context

KEY = {"Authorization": f"Bearer {API_KEY}"}
URL = "https://backend.example.org/private-path"


@pytest.fixture
def app(redis: Redis, telegram: FakeTelegram, make_app: MakeApp) -> Flask:
    return make_app(webhook_url=URL, webhook_secret=SECRET)


@pytest.fixture
def outbox(app: Flask) -> Outbox:
    outbox = get_web_context(app).pages.outbox
    assert outbox
    return outbox


def read(app: Flask) -> Any:
    return app.test_client().get("/ops.json", headers=KEY).json


def read_page(app: Flask) -> str:
    return app.test_client().get("/ops", headers=KEY).get_data(as_text=True)


def register_ready(app: Flask, person_id: int) -> None:
    body = {"name": "Ann", "photo_file_id": store_picture(app)}
    assert app.test_client().put(f"/api/partner/{person_id}", json=body, headers=KEY).status_code in (200, 201)


def test_a_registration_with_a_picture_that_is_ready_is_an_event(app: Flask, outbox: Outbox) -> None:
    register_ready(app, person_id := new_id())
    sending = outbox.take(person_id)
    assert sending
    assert (sending.event.type, bool(sending.event.version)) == ("photo.changed", True)


def test_a_registration_with_a_picture_that_is_not_ready_is_none(app: Flask, outbox: Outbox) -> None:
    body = {"name": "Ann", "photo_file_id": "AgACAgIAAxkBAAIBcGab"}
    app.test_client().put(f"/api/partner/{(person_id := new_id())}", json=body, headers=KEY)
    assert outbox.take(person_id) is None


def test_a_deletion_is_an_event(app: Flask, outbox: Outbox) -> None:
    register_ready(app, person_id := new_id())
    assert app.test_client().delete(f"/api/partner/{person_id}", headers=KEY).status_code == 204
    types = []
    while sending := outbox.take(person_id):
        types.append(sending.event.type)
        outbox.remove(sending)
    assert types == ["photo.changed", "photo.gone"]


def test_dead_events_are_counted_and_listed_and_escaped(app: Flask, outbox: Outbox) -> None:
    register_ready(app, person_id := new_id())
    sending = outbox.take(person_id)
    assert sending
    outbox.note_dead(sending, "<b>status 500</b>")
    stats = get_web_context(app).observe.stats
    stats.count({"events:dead": 1})
    stats.flush()
    shown = read(app)
    assert shown["day"]["events"] == {"dead": 1}
    (dead,) = shown["webhook"]["dead"]
    assert (dead["subject"], dead["type"], dead["reason"]) == (
        f"user:{person_id}",
        "photo.changed",
        "<b>status 500</b>",
    )
    page = read_page(app)
    assert "1 given up" in page
    assert '<ul class="failures" aria-label="Given up">' in page  # a table of four columns would be cut on a phone
    assert f"user:{person_id}" in page
    assert "<b>" not in page
    assert "private-path" not in page


def test_a_stopped_receiver_is_said_aloud(app: Flask, outbox: Outbox) -> None:
    outbox.stop()
    assert read(app)["webhook"]["is_stopped"]
    assert "The receiver of the webhook answered 410" in read_page(app)
    figures = app.test_client().get("/metrics", headers=KEY).get_data(as_text=True)
    assert "avatar_webhook_stopped 1.0" in figures


def test_failures_in_a_row_are_marked(app: Flask, outbox: Outbox) -> None:
    outbox.note_failure()
    assert read(app)["webhook"]["failures"] == 1
    assert "failing" in read_page(app)


@pytest.mark.usefixtures("redis", "telegram")
def test_without_a_webhook_the_page_shows_none(make_app: MakeApp) -> None:
    app = make_app()
    assert read(app)["webhook"] is None
    assert "Events of the webhook" not in read_page(app)


def test_the_document_describes_it(app: Flask) -> None:
    document: Any = app.test_client().get("/openapi.json").json
    schema = document["components"]["schemas"]["Overview"]["properties"]["webhook"]["anyOf"][1]
    assert set(schema["required"]) == set(schema["properties"]) == set(read(app)["webhook"])
