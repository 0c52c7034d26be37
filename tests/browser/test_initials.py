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
    for name in ("Ann", "Bo", "Ann"):
        add(blank, name=name)
    colours = blank.evaluate(
        """[...document.querySelectorAll('lazy-image')].map((host) =>
          getComputedStyle(host.shadowRoot.querySelector('.initials')).backgroundImage)"""
    )
    assert colours[0] == colours[2] != colours[1]


FAR = """(host) => {
  const range = document.createRange();
  range.selectNodeContents(host.shadowRoot.querySelector('.initials'));
  const { left, right, top, bottom } = range.getBoundingClientRect();
  const { x, y, width } = host.getBoundingClientRect();
  const [across, down] = [[left - x, right - x], [top - y, bottom - y]].map((ends) =>
    Math.max(...ends.map((end) => Math.abs(end - width / 2))));
  return Math.hypot(across, down) / (width / 2);
}"""


def test_initials_of_every_script_stay_inside_the_rim(blank: Page) -> None:
    names = [
        "W W",
        "🌈 🦄",
        "👩🏽‍🚀 Luna ✨",
        "李 小龙",
        "김 민준",
        "さくら 田中",
        "محمد الفارسي",
        "अनन्या शर्मा",
        "สมชาย ใจดี",
    ]
    reach = {name: add(blank, name=name).evaluate(FAR) for name in names}
    assert {name: share for name, share in reach.items() if share > 1} == {}
