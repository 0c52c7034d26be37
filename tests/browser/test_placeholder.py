"""A browser shows the placeholder that comes with an error status."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser

from screenshots.serving import serve
from tests.support.web_parts import file_url, new_file_id, store_unavailable
from warmer.errors import InvalidFileId
from web.wiring import get_web_context

LOAD = """(url) => new Promise((done) => {
  const image = new Image();
  image.onload = () => done(image.naturalWidth);
  image.onerror = () => done('error');
  image.src = url;
})"""


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    """Serves the app without waiting for cold pictures. Yields its URL."""
    get_web_context(app).photos.waiting.wait_seconds = 0
    with serve(app) as url:
        yield url


def test_a_browser_shows_the_placeholder_of_an_error_answer(browser: Browser, app: Flask, address: str) -> None:
    absent = store_unavailable(app, new_file_id(), InvalidFileId("x"))
    page = browser.new_page()
    page.goto(f"{address}/healthz")
    for file_id, query in ((absent, {"d": "initials", "initials": "AL"}), (new_file_id(), {"d": "initials"})):
        assert page.evaluate(LOAD, address + file_url(file_id, **query)) == 160
    assert page.evaluate(LOAD, address + file_url(absent)) == "error"
    page.close()
