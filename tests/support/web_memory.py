"""Pictures and lists in the memory of a web process."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.waiting import wait_until
from web.wiring import get_web_context


def hear_purges(app: Flask) -> None:
    """Start the listener, without which the process keeps nothing."""
    web_context = get_web_context(app)
    web_context.photos.listener.ensure_started()
    wait_until(lambda: web_context.photos.cache.hears_purges and web_context.api.lists.hears_purges)


def keep_list(app: Flask, headers: dict[str, str], limit: int = 20) -> TestResponse:
    """Request the list of this length until the process remembers it. Returns the answer."""
    hear_purges(app)
    lists, path = get_web_context(app).api.lists, f"/api/partner/recent?limit={limit}"
    answers: list[TestResponse] = []

    def is_kept() -> bool:
        answers.append(app.test_client().get(path, headers=headers))
        assert answers[-1].status_code == 200
        return lists.get(limit) is not None  # unless something that ends it came in between

    wait_until(is_kept)
    return answers[-1]


def keep_in_memory(app: Flask, url: str, accept: str) -> str:
    """Request this picture until the response cache holds it. Returns its ETag."""
    hear_purges(app)
    photos = get_web_context(app).photos
    path, _, query = url.partition("?")
    photo_request = photos.request_parser.read(path, query, accept)

    def is_kept() -> bool:
        assert FlaskClient(app).get(url, headers={"Accept": accept}).status_code == 200
        return photos.cache.get(photo_request) is not None  # unless a purge came in between

    wait_until(is_kept)
    answer = photos.cache.get(photo_request)
    assert answer
    return answer.etag
