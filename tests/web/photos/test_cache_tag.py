"""`Cache-Tag`: by what a CDN drops its copies of an answer."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import wait_until
from tests.support.web_parts import file_url, new_file_id, new_id, store_picture, store_unavailable, user_url
from tests.web.photos.conftest import forget_one
from warmer.errors import InvalidFileId
from warmer.keys import Subject
from web.wiring import get_web_context


def tags_of(answer: TestResponse) -> list[str]:
    assert len(answer.headers.getlist("Cache-Tag")) == 1
    return answer.headers["Cache-Tag"].split(",")


def tag(app: Flask, subject: str) -> str:
    return get_web_context(app).photos.cache_tags.of(subject)


@pytest.fixture
def shown(app: Flask) -> tuple[int, str]:
    """An id, and the file id of the picture that it shows."""
    user_id, file_id = new_id(), store_picture(app)
    get_web_context(app).photos.people.register(user_id, "Ann", file_id)
    return user_id, file_id


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_picture_carries_its_tag_and_under_its_id_that_of_the_id_too(
    app: Flask, client: FlaskClient, shown: tuple[int, str], method: str
) -> None:
    user_id, file_id = shown
    for size in (80, 160):
        assert tags_of(client.open(file_url(file_id, size=size), method=method)) == [tag(app, file_id)]
        answer = client.open(user_url(user_id, size=size), method=method)
        assert tags_of(answer) == [tag(app, Subject.of_person(user_id)), tag(app, file_id)]


@pytest.mark.usefixtures("is_subscribed")
def test_an_answer_from_the_cache_of_the_process_and_a_304_carry_the_same_tags(
    app: Flask, client: FlaskClient, shown: tuple[int, str]
) -> None:
    url = user_url(shown[0])
    wait_until(lambda: client.get(url).status_code == 200 and get_web_context(app).photos.cache.bytes)
    cached = client.get(url)
    same = client.get(url, headers={"If-None-Match": cached.headers["ETag"]})
    assert same.status_code == 304
    assert tags_of(same) == tags_of(cached) == [tag(app, Subject.of_person(shown[0])), tag(app, shown[1])]


def test_while_a_new_picture_is_not_ready_the_tag_is_that_of_the_one_that_is_sent(
    app: Flask, client: FlaskClient, shown: tuple[int, str]
) -> None:
    user_id, previous = shown
    get_web_context(app).photos.people.register(user_id, "Ann", newest := new_file_id())
    assert tags_of(client.get(user_url(user_id)))[1] == tag(app, previous)
    store_picture(app, newest)
    assert tags_of(client.get(user_url(user_id)))[1] == tag(app, newest)


@pytest.mark.parametrize("query", [{}, {"d": "initials", "initials": "AL"}])
def test_a_404_carries_the_tag_of_what_the_url_names_whatever_the_cause(
    app: Flask, client: FlaskClient, query: dict[str, str]
) -> None:
    hidden, broken, forgotten = new_id(), new_id(), forget_one(app)
    store_unavailable(app, Subject.of_person(hidden))
    get_web_context(app).photos.people.register(broken, "Ann", ill := new_file_id())
    store_unavailable(app, ill, InvalidFileId("x"))
    urls: dict[str, str] = {user_url(one, **query): Subject.of_person(one) for one in (hidden, broken)}
    urls |= {file_url(ill, **query): ill, file_url(forgotten, **query): forgotten}
    answers = {url: client.get(url) for url in urls}
    assert {answer.status_code for answer in answers.values()} == {404}
    assert {url: tags_of(answer) for url, answer in answers.items()} == {
        url: [tag(app, subject)] for url, subject in urls.items()
    }


@pytest.mark.parametrize(("query", "status"), [({"sig": "x"}, 403), ({"size": 1}, 400), ({}, 503)])
def test_an_answer_that_no_cache_keeps_has_no_tag(client: FlaskClient, query: dict[str, object], status: int) -> None:
    answer = client.get(file_url(new_file_id(), **query))
    assert (answer.status_code, "Cache-Tag" in answer.headers) == (status, False)
