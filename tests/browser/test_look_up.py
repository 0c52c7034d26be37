"""The page at / without a signed-in user: the bot's name, and a lookup of one's own id."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.page_stub import PREVIEW, Answer, PageStub

PROBLEM = {"type": "about:blank", "title": "Bad", "detail": "id: a whole number is needed"}
PICTURE = {"id": 42, "photo_url": "/photo", "photo_srcset": "/photo 160w", "photo_placeholder": PREVIEW}


def test_without_init_data_the_page_names_the_bot_and_offers_no_lookup(page: Page, stub: PageStub) -> None:
    stub.context["bot"] = {"name": "Warm & Co", "username": "warm_bot"}
    page.goto(stub.url)
    expect(page.get_by_role("heading")).to_have_text("Warm & Co")
    expect(page.get_by_role("link", name="@warm_bot")).to_have_attribute("href", "https://t.me/warm_bot")
    expect(page.get_by_label("Your Telegram id")).to_have_count(0)
    assert stub.calls == []


def look_up(page: Page, stub: PageStub, text: str) -> Locator:
    stub.context["may_look_up"] = True
    page.goto(stub.url)
    page.get_by_label("Your Telegram id").fill(text)
    page.keyboard.press("Enter")
    return page.locator("#look-up-state")


@pytest.mark.parametrize(
    ("answer", "words", "is_error"),
    [
        (Answer(json={"id": 42, "status": "none"}), "no photo, or Telegram’s privacy settings hide it", False),
        (Answer(json={"id": 42, "status": "unavailable"}), "did not hand over the picture", True),
        (Answer(422, json=PROBLEM), "id: a whole number is needed", True),
        (Answer(500, picture=b"?"), "did not answer", True),
    ],
)
def test_a_lookup_without_a_picture_says_why_and_an_error_looks_like_one(
    page: Page, stub: PageStub, answer: Answer, words: str, is_error: bool
) -> None:
    stub.answers["/try"] = [answer]
    state = look_up(page, stub, "42")
    expect(state).to_contain_text(words)
    expect(page.locator("#look-up lazy-image")).to_be_hidden()
    colours = ["rgb(33, 27, 21)", "rgb(179, 38, 30)"]
    expect(state).to_have_css("color", colours[is_error])


@pytest.mark.parametrize("text", ["0", "-5", "4x2", "9" * 16])
def test_only_the_id_of_a_person_is_asked_for(page: Page, stub: PageStub, text: str) -> None:
    expect(look_up(page, stub, text)).to_have_text("A Telegram id is a number, such as 123456789.")
    assert stub.calls == []


def test_a_malformed_id_is_an_error_until_the_next_try(page: Page, stub: PageStub) -> None:
    stub.answers["/try"] = [Answer(json={"id": 42, "status": "none"})]
    state, field = look_up(page, stub, "4x2"), page.get_by_label("Your Telegram id")
    expect(state).to_have_css("color", "rgb(179, 38, 30)")
    expect(field).to_have_attribute("aria-invalid", "true")
    field.fill("42")
    page.keyboard.press("Enter")
    expect(state).to_contain_text("no photo")
    expect(state).to_have_css("color", "rgb(33, 27, 21)")
    expect(field).to_have_attribute("aria-invalid", "false")


def test_a_lookup_waits_for_a_warming_picture_and_shows_it(page: Page, stub: PageStub) -> None:
    stub.answers |= {
        "/try": [Answer(json=PICTURE | {"status": "warming"}), Answer(json=PICTURE | {"status": "ready"})],
        "/photo": [Answer()],
    }
    expect(look_up(page, stub, "42")).to_have_text("This is what the bot sees.")
    expect(page.locator("#look-up lazy-image[status=loaded]")).to_be_visible()
