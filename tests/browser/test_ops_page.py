"""The operators' page in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, expect
from redis import Redis

from faketelegram import TEST_TOKEN
from screenshots.ops import make_up_day
from screenshots.serving import serve
from tests.conftest import API_KEY, wait_until
from tests.support.page_stub import PATIENCE_MS
from tests.support.receiver import SECRET
from tests.support.web_parts import MakeApp, new_id, store_picture
from warmer.keys import Keys
from web.wiring import get_web_context

PAGE_KEY = "the-key-of-a-page-for-one-start-only"
CUT = """(width) => [...document.querySelectorAll('main :is(th, td, li, dd, p, figure)')]
  .filter((one) => one.getBoundingClientRect().right > width || one.scrollWidth > one.clientWidth + 1)
  .map((one) => one.outerHTML.slice(0, 100))"""


def give_up_event(app: Flask) -> None:
    """Let the webhook give up the first event of a new person."""
    body, key = {"name": "Ann", "photo_file_id": store_picture(app)}, {"Authorization": f"Bearer {API_KEY}"}
    person_id, outbox = new_id(), get_web_context(app).pages.outbox
    wait_until(lambda: app.test_client().put(f"/api/partner/{person_id}", json=body, headers=key).status_code < 300)
    sending = outbox.take(person_id) if outbox else None
    assert outbox
    assert sending
    outbox.note_dead(sending, "the receiver answers 500 after every one of its attempts within a day")


def repair(redis: Redis) -> None:
    """Let beat run, and forget the event that was given up."""
    keys = Keys(TEST_TOKEN.partition(":")[0])
    redis.delete(keys.dead, keys.dead_reasons)
    redis.set(keys.beat, "1")


@pytest.fixture
def made_up(redis: Redis, telegram: object, make_app: MakeApp) -> Iterator[str]:
    """Serves the page with the numbers of a made-up day. Yields the URL of the service."""
    app = make_app(page_key=PAGE_KEY, webhook_url="https://backend.example.org/events", webhook_secret=SECRET)
    make_up_day(redis, get_web_context(app).keys)
    give_up_event(app)
    with serve(app) as url:
        yield url


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 390)])
def test_the_page_is_accessible_fits_the_screen_and_logs_nothing_to_the_console(
    browser: Browser, made_up: str, redis: Redis, scheme: Any, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(PATIENCE_MS)
    wait_until(lambda: (answer := page.goto(f"{made_up}/?key={PAGE_KEY}")) and answer.ok)  # the breaker may be open
    assert page.url == f"{made_up}/"
    assert page.locator("#look-up-id").is_visible()
    assert page.evaluate("document.cookie") == ""
    wait_until(lambda: (answer := page.goto(f"{made_up}/ops")) and answer.ok)
    said: list[str] = []
    page.on("console", lambda line: said.append(line.text))
    for is_well in (False, True):
        if is_well:
            repair(redis)
        wait_until(lambda: (answer := page.reload()) and answer.ok and page.locator("polyline").count() > 20)
        assert page.locator(".ill").count() == (not is_well)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CUT, width) == []
        results = Axe().run(page)
        assert results.violations_count == 0, results.generate_report()
    page.close()
    assert said == []


def test_the_page_refreshes_itself_keeps_the_focus_and_says_when_it_cannot(
    browser: Browser, made_up: str, redis: Redis
) -> None:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.clock.install()
    wait_until(lambda: (answer := page.goto(f"{made_up}/?key={PAGE_KEY}")) and answer.ok)  # the breaker may be open
    wait_until(lambda: (answer := page.goto(f"{made_up}/ops")) and answer.ok and page.locator("polyline").count() > 20)
    expect(page.locator(".sentence")).to_contain_text("Beat is not running")
    expect(page.locator("#refreshed")).to_have_text("Refreshed every 30 s.")
    page.get_by_role("link", name="look again").focus()
    page.evaluate("window.spoken = document.querySelector('.sentence')")
    repair(redis)
    page.clock.run_for(30_000)
    expect(page.locator(".sentence")).to_have_text("All is well.")
    expect(page).to_have_title("All is well · avatar-warmer")
    assert page.evaluate("document.activeElement.textContent") == "look again"
    assert page.evaluate("spoken === document.querySelector('.sentence')"), (
        "a screen reader hears nothing of a new element"
    )
    page.route("**/ops", lambda route: route.abort())
    page.clock.run_for(30_000)
    expect(page.locator("#refreshed")).to_contain_text("the service does not answer")
    page.unroute("**/ops")
    page.clock.run_for(30_000)
    expect(page.locator("#refreshed")).to_have_text("Refreshed every 30 s.")
    page.close()


@pytest.mark.parametrize("name", ["runbook", "monitoring", "scaling"])
def test_the_pages_of_the_documentation_are_accessible_on_a_small_phone(
    browser: Browser, made_up: str, name: str
) -> None:
    page = browser.new_page(viewport={"width": 320, "height": 600})
    page.set_default_timeout(PATIENCE_MS)
    said: list[str] = []
    page.on("console", lambda line: said.append(line.text))
    wait_until(lambda: (answer := page.goto(f"{made_up}/docs/{name}.md")) and answer.ok)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    results = Axe().run(page)
    page.close()
    assert results.violations_count == 0, results.generate_report()
    assert said == []
