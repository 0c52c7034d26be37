"""How often the elements of an open page request pictures that are not ready, from their own and another origin."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Lock

import pytest
from flask import Flask, Response, request
from playwright.sync_api import Page, expect

from screenshots.serving import serve
from tests.support.npm import STATIC
from tests.support.page_stub import Silent
from tests.support.waiting import wait_until

RETRY_AFTER = 1  # seconds, as the service says
ON_EVERY_ANSWER = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Retry-After",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "no-store",
}
PAGE = """<!doctype html><html lang="en"><title>pictures</title><link rel="icon" href="data:,">
<script type="module" src="/static/lazy-image.js"></script>"""


class Away:
    """A service without a ready picture. `url` and `other_url` are two origins of it."""

    url: str

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []  # method and URL
        self.early: list[str] = []  # URLs whose headers were requested before the Retry-After had passed
        self.sources: list[str] = []  # of the page's pictures
        self.status = 503
        self._may_return: dict[str, float] = {}
        self._lock = Lock()

    @property
    def other_url(self) -> str:
        return self.url.replace("127.0.0.1", "localhost")

    def page(self) -> str:
        return PAGE + "".join(f'<lazy-image name="Ann" src="{source}"></lazy-image>' for source in self.sources)

    def answer(self, name: str) -> Response:
        with self._lock:
            self.calls.append((request.method, request.url))
            if request.method == "HEAD" and time.monotonic() < self._may_return[request.url]:
                self.early.append(f"{name} at {request.host}")
            self._may_return[request.url] = time.monotonic() + RETRY_AFTER
        return Response(b"", self.status, {**ON_EVERY_ANSWER, "Retry-After": f"{RETRY_AFTER}"})

    def count(self, method: str, url: str) -> int:
        return self.calls.count((method, url))


@pytest.fixture
def away() -> Iterator[Away]:
    away = Away()
    app = Flask("away", static_folder=str(STATIC))
    app.add_url_rule("/", "page", away.page)
    app.add_url_rule("/photos/<name>", "answer", away.answer)
    with serve(app, Silent) as away.url:
        yield away


def open_until_asked(page: Page, away: Away, times: int = 3) -> None:
    """Open the page, and wait until the headers of each picture have been requested so many times."""
    page.goto(away.url)
    wait_until(lambda: all(away.count("HEAD", source) >= times for source in away.sources))


def test_a_picture_that_is_not_ready_costs_one_request_for_each_retry_after(page: Page, away: Away) -> None:
    away.sources = [f"{origin}/photos/{number}" for number in range(12) for origin in (away.url, away.other_url)]
    open_until_asked(page, away)
    assert away.early == []
    for source in away.sources:
        methods = [method for method, url in away.calls if url == source]
        assert set(methods[methods.index("HEAD") :]) == {"HEAD"}  # before it, Chromium may repeat a GET by itself


def test_elements_with_the_same_picture_share_its_requests(page: Page, away: Away) -> None:
    away.sources = [f"{away.url}/photos/ann"] * 3
    open_until_asked(page, away)
    assert away.early == []


def test_an_element_that_leaves_lets_the_others_with_its_picture_wait_on(page: Page, away: Away) -> None:
    away.sources = [f"{away.url}/photos/ann"] * 2
    open_until_asked(page, away, times=1)
    page.evaluate("document.querySelector('lazy-image').remove()")
    before = away.count("HEAD", away.sources[0])
    wait_until(lambda: away.count("HEAD", away.sources[0]) > before + 1)
    expect(page.locator("lazy-image[status=loading]")).to_have_count(1)


def test_a_missing_picture_of_another_origin_costs_two_requests(page: Page, away: Away) -> None:
    away.status = 404
    away.sources = [f"{away.other_url}/photos/ann"]
    page.goto(away.url)
    expect(page.locator("lazy-image")).to_have_attribute("status", "error")
    assert away.count("HEAD", away.sources[0]) == 1
