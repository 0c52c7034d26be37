"""Inside Telegram the page has the colours of its user."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_page import INIT_DATA, partner, script_list
from tests.support.page_stub import PageStub
from tests.support.seen import list_violations

NIGHT = {
    "bg_color": "#17212b", "secondary_bg_color": "#232e3c", "section_bg_color": "#17212b", "text_color": "#f5f5f5",
    "hint_color": "#708499", "link_color": "#6ab3f3", "button_color": "#5288c1", "button_text_color": "#ffffff",
}  # fmt: skip
DAY = {"bg_color": "#ffffff", "secondary_bg_color": "#efeff3", "text_color": "#000000", "link_color": "#168acd"}
COLOURS = """() => {
  const of = (selector) => getComputedStyle(document.querySelector(selector));
  return [of('body').backgroundColor, of('li').backgroundColor, of('.name').color, of('html').colorScheme];
}"""
OWN = ["rgb(251, 249, 246)", "rgb(255, 255, 255)", "rgb(33, 27, 21)", "light dark"]


def launch(page: Page, stub: PageStub, theme: str) -> list[str]:
    """Open the page as Telegram does. Returns the colours of page, row and name, and the browser's scheme."""
    script_list(stub, [partner(1, "Ann")])
    page.goto(f"{stub.url}/#tgWebAppData={quote(INIT_DATA)}&tgWebAppThemeParams={quote(theme)}")
    expect(page.get_by_role("listitem")).to_have_count(1)
    colours: list[str] = page.evaluate(COLOURS)
    return colours


def test_the_page_takes_the_theme_and_keeps_it_after_a_reload(page: Page, stub: PageStub) -> None:
    night = ["rgb(35, 46, 60)", "rgb(23, 33, 43)", "rgb(245, 245, 245)", "dark"]
    assert launch(page, stub, json.dumps(NIGHT)) == night
    page.reload()
    expect(page.get_by_role("listitem")).to_have_count(1)
    assert page.evaluate(COLOURS) == night


def test_a_light_theme_is_light_on_a_device_that_prefers_dark(page: Page, stub: PageStub) -> None:
    page.emulate_media(color_scheme="dark")
    day = launch(page, stub, json.dumps(DAY))
    assert day == ["rgb(239, 239, 243)", "rgb(255, 255, 255)", "rgb(0, 0, 0)", "light"]


@pytest.mark.parametrize("theme", [NIGHT, DAY])
def test_the_list_in_a_theme_is_accessible(page: Page, stub: PageStub, theme: dict[str, str]) -> None:
    page.emulate_media(reduced_motion="reduce")
    launch(page, stub, json.dumps(theme))
    assert list_violations(page) == ""


@pytest.mark.parametrize(
    "theme",
    ["", "{", "null", "[]", '"red"', '{"bg_color": "#000000"}', '{"bg_color": "url(/x)", "text_color": "#ffffff"}'],
)
def test_a_malformed_theme_changes_nothing(page: Page, stub: PageStub, theme: str) -> None:
    assert launch(page, stub, theme) == OWN
