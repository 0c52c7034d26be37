"""The documentation as a site: what `scripts/docs` builds."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from screenshots.services import serve_docs
from tests.support.seen import is_wider_than_the_screen, list_violations

SIZES: list[ViewportSize] = [{"width": 390, "height": 844}, {"width": 1280, "height": 800}]


@pytest.fixture(scope="module")
def home() -> Iterator[str]:
    with serve_docs() as url:
        yield url


def test_the_home_is_accessible_and_fits_in_light_and_dark_on_phone_and_desktop(page: Page, home: str) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for size in SIZES:
            page.set_viewport_size(size)
            page.goto(home)
            assert not is_wider_than_the_screen(page)
            assert list_violations(page) == "", (scheme, size)


def test_the_home_leads_into_the_documentation_by_three_cards_and_a_search(page: Page, home: str) -> None:
    page.set_viewport_size(SIZES[1])
    page.goto(home)
    cards = page.locator("#avatar-warmer > ul > li")
    expect(cards).to_contain_text(["Try it", "Use it", "Run it"])
    tops = cards.evaluate_all("(cards) => cards.map((card) => card.getBoundingClientRect().top)")
    assert len(set(tops)) == 1, "the cards do not stand beside each other"
    page.get_by_role("searchbox").or_(page.get_by_placeholder("Search")).first.fill("tombstone")
    page.keyboard.press("Enter")
    expect(page.locator("#search-results")).to_contain_text(re.compile("found [1-9]"))
