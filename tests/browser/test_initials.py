"""The initials that <lazy-image> shows for a person without a picture."""

from playwright.sync_api import Page, expect

from tests.support.page_stub import add


def test_initials_are_an_image_with_an_accessible_name(blank: Page) -> None:
    add(blank, name="Ann Lee")
    expect(blank.get_by_role("img", name="Ann Lee")).to_be_visible()


INITIALS = {
    "Ann": "A",
    "ann marie lee": "AL",
    "Ann Ann": "AA",
    "  (Bob)   «Zed» ": "BZ",
    "👩‍👩‍👧 Family": "👩‍👩‍👧F",
    "👍🏽": "👍🏽",
    "e\u0301lan": "E\u0301",
    "محمد علي": "م\u200cع",
    "שרה כהן": "שכ",
    "李小龍": "李",
    "...": ".",
    "": "?",
}


def test_initials_are_the_first_letters_of_the_first_and_the_last_word(blank: Page) -> None:
    shown = {name: add(blank, name=name).locator(".initials").text_content() for name in INITIALS}
    assert shown == INITIALS


def test_the_same_name_always_gets_the_same_colour(blank: Page) -> None:
    for name in ("Ann", "Bob", "Ann"):
        add(blank, name=name)
    colours = blank.evaluate(
        """[...document.querySelectorAll('lazy-image')].map((host) =>
          getComputedStyle(host.shadowRoot.querySelector('.initials')).backgroundColor)"""
    )
    assert colours[0] == colours[2] != colours[1]
