"""Pictures in the memory of a web process."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from tests.support.waiting import wait_until
from web.wiring import get_web_context


def hear_purges(app: Flask) -> None:
    """Start the listener, without which the response cache keeps nothing."""
    photos = get_web_context(app).photos
    photos.listener.ensure_started()
    wait_until(lambda: photos.cache.hears_purges)


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
