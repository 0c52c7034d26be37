"""The page in each state: light and dark, on a small phone and a wide desktop."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_page import PROBLEM, open_signed_in, partner, script_list
from tests.support.page_stub import NO_PHOTO, Answer, PageStub
from tests.support.seen import (
    MOST_SHIFTED,
    NOTE_SHIFTS,
    is_wider_than_the_screen,
    list_on_top,
    list_violations,
    measure_shift,
)

PHONE, DESKTOP = {"width": 320, "height": 568}, {"width": 1600, "height": 900}
LONG = "Wolfeschlegelsteinhausenbergerdorffwelchevoralternwarengewissenhaft von und zu Hohenlohe " * 2
NAMES = ["Ann", LONG[:129], "محمد الفارسي", "👩🏽‍🚀 Luna ✨", "W" * 129]


def open_list(page: Page, stub: PageStub) -> None:
    script_list(stub, [partner(ident, name) for ident, name in enumerate(NAMES)])
    stub.answers["/photo/3"] = [NO_PHOTO]
    people = open_signed_in(page, stub)
    expect(people.locator("lazy-image[status=loaded]")).to_have_count(4)
    expect(people.locator("lazy-image[status=error]")).to_have_count(1)


def open_error(page: Page, stub: PageStub) -> None:
    script_list(stub, [partner(1)])
    stub.answers["/api/partner/recent"] = [Answer(503, json=PROBLEM)]
    open_signed_in(page, stub)
    expect(page.get_by_role("alert")).to_be_visible()


def open_lookup(page: Page, stub: PageStub) -> None:
    stub.context |= {"may_look_up": True, "bot": {"name": "Warm & Co", "username": "warm_bot"}}
    stub.answers |= {"/try": [Answer(json={"id": 42, "status": "ready", "photo_url": "/photo"})], "/photo": [Answer()]}
    page.goto(stub.url)
    page.get_by_label("Your Telegram id").fill("42")
    page.keyboard.press("Enter")
    expect(page.locator("#look-up lazy-image[status=loaded]")).to_be_visible()


def open_nameless(page: Page, stub: PageStub) -> None:
    stub.context["bot_state"] = "unauthorized"
    page.goto(stub.url)
    expect(page.get_by_role("heading")).to_be_visible()


def open_down(page: Page, stub: PageStub) -> None:
    stub.context |= {"bot_state": "unreachable", "bot": {"name": "Warm & Co", "username": "warm_bot"}}
    page.goto(stub.url)
    expect(page.get_by_role("heading")).to_have_text("Telegram does not answer")


def open_ill(page: Page, stub: PageStub) -> None:
    stub.context |= {"bot_state": "unreachable", "ill": ["download"]}
    page.goto(stub.url)
    expect(page.get_by_role("heading")).to_have_text("Telegram refuses every picture")


@pytest.mark.parametrize("open_state", [open_list, open_error, open_lookup, open_nameless, open_down, open_ill])
def test_every_state_is_accessible_and_fits_in_light_and_dark_on_phone_and_desktop(
    page: Page, stub: PageStub, open_state: Callable[[Page, PageStub], None]
) -> None:
    page.emulate_media(reduced_motion="reduce")
    open_state(page, stub)
    for size in (PHONE, DESKTOP):
        page.set_viewport_size(size)  # type: ignore[arg-type]  # a TypedDict
        assert not is_wider_than_the_screen(page)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert list_violations(page) == ""


def test_200_avatars_load_while_scrolling_without_a_layout_shift(page: Page, stub: PageStub) -> None:
    page.add_init_script(NOTE_SHIFTS)
    script_list(stub, [partner(ident) for ident in range(1, 201)])
    stub.answers |= {f"/photo/{ident}": [Answer()] for ident in range(1, 201)}
    people = open_signed_in(page, stub)
    expect(people).to_have_count(200)
    assert len([call for call in stub.calls if "/photo/" in call]) < 100, (
        "pictures far from the viewport were requested"
    )
    images = page.locator("#people-list lazy-image")
    for place in range(0, 200, 10):
        images.nth(place).scroll_into_view_if_needed()
        expect(images.nth(place)).to_have_attribute("status", "loaded")
    images.nth(199).scroll_into_view_if_needed()
    expect(page.locator("#people-list lazy-image[status=loaded]")).to_have_count(200)
    assert set(list_on_top(images)) == {"picture", "nothing"}, "a skeleton or a broken picture is still shown"
    assert measure_shift(page) < MOST_SHIFTED
    assert stub.calls.count("GET /photo/100") == 1


def test_names_pictures_and_texts_appear_without_a_layout_shift(page: Page, stub: PageStub) -> None:
    page.add_init_script(NOTE_SHIFTS)
    gate = stub.gate()
    script_list(stub, [partner(ident) for ident in range(1, 5)])
    stub.answers["/api/partner/recent"][0].gate = gate
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]  # a TypedDict
    open_signed_in(page, stub)
    expect(page.locator("#me")).to_be_visible()
    gate.set()
    expect(page.locator("#people-list lazy-image[status=loaded]")).to_have_count(4)
    assert measure_shift(page) < MOST_SHIFTED


def test_pictures_scrolled_to_while_offline_load_when_the_network_returns(page: Page, stub: PageStub) -> None:
    script_list(stub, [partner(ident) for ident in range(1, 61)])
    stub.answers |= {f"/photo/{ident}": [Answer()] for ident in range(1, 61)}
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]  # a TypedDict
    people = open_signed_in(page, stub)
    expect(people).to_have_count(60)
    page.context.set_offline(True)
    last = page.locator("#people-list lazy-image").last
    last.scroll_into_view_if_needed()
    expect(last).to_have_attribute("status", "loading")
    assert list_on_top(last) == ["preview"]
    page.context.set_offline(False)
    expect(last).to_have_attribute("status", "loaded")
    expect(people.last.locator(".picture")).to_be_visible()
    assert list_on_top(last) == ["picture"]


def test_keyboard_focus_is_visible(page: Page, stub: PageStub) -> None:
    open_lookup(page, stub)
    for selector in ("#look-up-id", "#look-up button"):
        page.locator(selector).focus()
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outline")
        assert "solid 3px" in outline
