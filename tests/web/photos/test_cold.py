"""A request for a cold picture, with a real worker: what the client gets, and which calls it costs."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from faketelegram import FakeTelegram
from tests.support.apps import make_patient_app
from tests.support.web_parts import MakeApp, file_url, new_file_id, new_id, user_url
from web.photos.response import CACHE_CONTROL

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def app(redis: object, telegram: object, make_app: MakeApp) -> Flask:
    return make_patient_app(make_app)


def test_a_cold_picture_is_fetched_and_then_stored(client: FlaskClient, telegram: FakeTelegram) -> None:
    telegram.world.add_user(user_id := new_id(), "Ann")
    url = file_url(telegram.world.file_id(user_id))
    answers = [client.get(url) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.headers["Cache-Status"] for answer in answers] == ["avatar-warmer; fwd=miss", "avatar-warmer; hit"]
    assert (telegram.calls["getFile"], telegram.calls["download"]) == (1, 1)

    jpeg = client.get(url, headers={"Accept": "image/jpeg"})
    assert (jpeg.mimetype, jpeg.headers["Cache-Status"]) == ("image/jpeg", "avatar-warmer; fwd=miss")
    assert (telegram.calls["getFile"], telegram.calls["download"]) == (1, 1)  # made from a stored variant


def test_an_unregistered_id_is_looked_up_while_its_client_waits(client: FlaskClient, telegram: FakeTelegram) -> None:
    telegram.world.add_user(user_id := new_id(), "Ann")
    telegram.world.add_chat(-user_id, "A group")
    for one in (user_id, -user_id):
        for accept in ("image/jpeg", "image/webp"):
            answer = client.get(user_url(one), headers={"Accept": accept})
            told = (answer.status_code, answer.mimetype, answer.headers["Cache-Control"])
            assert told == (200, accept, CACHE_CONTROL["user"])
    assert telegram.calls["getFile"] == telegram.calls["download"] == 2


def test_an_id_without_a_photo_is_looked_up_once(client: FlaskClient, telegram: FakeTelegram) -> None:
    telegram.world.add_user(hidden := new_id(), "Bob", picture=None)
    for user_id in (hidden, 0, -new_id(), unknown := new_id()):
        answers = [client.get(user_url(user_id)) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[1].headers["Cache-Control"] == "public, max-age=60"
    asked = [call["user_id"] for _, method, call in telegram.log if method == "getUserProfilePhotos"]
    assert asked == [str(hidden), str(unknown)]
    assert telegram.calls["getChat"] == 4  # each id: getUserProfilePhotos alone proves nothing


def test_an_unknown_file_id_is_404_after_one_call(client: FlaskClient, telegram: FakeTelegram) -> None:
    url = file_url(new_file_id())
    assert [client.get(url).status_code for _ in range(2)] == [404, 404]
    assert telegram.calls["getFile"] == 1


@pytest.mark.usefixtures("is_subscribed")
def test_a_pause_ends_the_wait_early(client: FlaskClient, telegram: FakeTelegram, pauses: list[bool]) -> None:
    telegram.world.add_user(user_id := new_id(), "Ann")
    telegram.fail("getFile", "too-many-requests", retry_after=30)
    answer = client.get(file_url(telegram.world.file_id(user_id)))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert pauses[-1:] != [False]  # a message ended the wait, unless the picture was read before
    assert telegram.calls["getFile"] == 1
