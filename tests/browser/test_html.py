"""The HTML of every page is valid: as the service sends it, and as the scripts of `/` leave it."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page
from redis import Redis

from screenshots.ops import make_up_day
from tests.browser.test_compare import open_demo, press, script
from tests.browser.test_page_states import open_error, open_list, open_lookup
from tests.support.npm import ROOT, find_invalid_html
from tests.support.page_stub import PageStub
from tests.support.web_parts import MakeApp, add_worker, new_id
from web.wiring import get_web_context

KEY = "the-key-of-a-page-for-one-start-only"
STATES = ("ok", "unauthorized", "logged_out", "unreachable")
DOCS = sorted(path.name for path in (ROOT / "docs").glob("*.md"))


@pytest.fixture
def operator(redis: object, telegram: object, make_app: MakeApp) -> FlaskClient:
    """An operator of a bot of one's own."""
    return sign_in(make_app(page_key=KEY))


def sign_in(app: Flask) -> FlaskClient:
    client = app.test_client()
    client.get(f"/?key={KEY}")
    return client


def read(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_the_page_of_the_demo_is_valid_signed_in_or_not(
    redis: object, telegram: object, make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(demo=True, host="127.0.0.1", page_key=KEY, photo_wait=0)
    get_web_context(app).photos.people.register(new_id(), "Ann", None)
    pages = {"visitor": read(app.test_client(), "/"), "operator": read(sign_in(app), "/")}
    assert find_invalid_html(tmp_path, pages) == ""


def test_the_page_of_a_bot_of_ones_own_is_valid_in_every_state(operator: FlaskClient, tmp_path: Path) -> None:
    pages = {"no worker": read(operator, "/")}
    add_worker(operator.application)
    pages["unknown"] = read(operator, "/")
    for state in STATES:
        add_worker(operator.application, bot=state, bot_name="Warm & <Co>", bot_username="warm_bot")
        pages |= {state: read(operator, "/"), f"{state}-visitor": read(operator.application.test_client(), "/")}
    budget = get_web_context(operator.application).pages.budget
    budget.pause(30)
    pages["paused"] = read(operator, "/")
    budget.begin_outage("download")
    pages["ill"] = read(operator, "/")
    assert find_invalid_html(tmp_path, pages) == ""


def test_the_operators_page_is_valid_well_and_ill_and_without_figures(
    operator: FlaskClient, redis: Redis, tmp_path: Path
) -> None:
    keys = get_web_context(operator.application).keys
    pages = {"empty": read(operator, "/ops")}
    make_up_day(redis, keys)
    pages["ill"] = read(operator, "/ops")
    redis.set(keys.beat, "1")
    pages["well"] = read(operator, "/ops")
    assert "All is well." in pages["well"]
    assert find_invalid_html(tmp_path, pages) == ""


def test_the_pages_of_the_documentation_are_valid(operator: FlaskClient, tmp_path: Path) -> None:
    assert find_invalid_html(tmp_path, {name: read(operator, f"/docs/{name}") for name in DOCS}) == ""


def test_the_scripts_of_the_page_leave_it_valid(page: Page, stub: PageStub, tmp_path: Path) -> None:
    pages: dict[str, str] = {}
    for open_state in (open_list, open_error, open_lookup):
        stub.reset()
        open_state(page, stub)
        pages[open_state.__name__] = page.content()
    stub.reset()
    script(stub)
    open_demo(page, stub)
    press(page, "cold")
    pages["compare"] = page.content()
    assert find_invalid_html(tmp_path, pages) == ""
