"""An app, its answers and their headers, for the tests of the photo routes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.conftest import wait_until
from tests.support.redis_kinds import KIND, list_calls, reset_calls
from tests.support.web_parts import new_id, store_picture
from web.wiring import get_web_context

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


def let_markers_last(app: Flask) -> None:
    """A message counts as queued for longer than a test takes on a busy machine."""
    get_web_context(app).photos.publisher.enqueued_ms = 600_000


def forget_one(app: Flask) -> str:
    web_context, user_id, file_id = get_web_context(app), new_id(), store_picture(app)
    web_context.photos.people.register(user_id, "Ann", file_id)
    web_context.api.forget.person(user_id)
    return file_id


@pytest.fixture
def pauses(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each pause of a waiting request, whether a message ended it; requests re-read on no other occasion."""
    ended: list[bool] = []
    monkeypatch.setattr(get_web_context(app).photos.waiting, "_pause", lambda news, _: ended.append(news.wait(60)))
    return ended


@pytest.fixture
def is_subscribed(app: Flask) -> None:
    """The app's listener is subscribed to purges, so that its cache is open."""
    web_context = get_web_context(app)
    web_context.photos.listener.ensure_started()
    wait_until(lambda: web_context.photos.cache.hears_purges)
