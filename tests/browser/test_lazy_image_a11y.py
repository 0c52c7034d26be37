"""Accessibility of <lazy-image>: screen readers, contrast, forced colours, print, and a strict content policy."""

import re
from typing import Literal
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.support.page_stub import NO_PHOTO, PREVIEW, Answer, PageStub, add, has_status

STRICT_PAGE = """<!doctype html><html lang="en"><title>strict</title><link rel="icon" href="data:,">
<meta http-equiv="Content-Security-Policy" content="require-trusted-types-for 'script'; trusted-types 'none'">
<script type="module" src="/static/lazy-image.js"></script>
<lazy-image src="/ann" name="Ann Lee" placeholder="{preview}" delay-ms="100"></lazy-image>
<lazy-image src="/none" name="Bo"></lazy-image>"""

BACKGROUND = "(host) => getComputedStyle(host.shadowRoot.querySelector('.initials')).backgroundImage"


def measure_contrast_with_white(colour: str) -> float:
    """WCAG's ratio for `rgb(r, g, b)`."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


def css(image: Locator, part: str, *properties: str) -> list[str]:
    script = "(one, names) => names.map((name) => getComputedStyle(one).getPropertyValue(name))"
    values: list[str] = image.locator(part).evaluate(script, list(properties))
    return values


@pytest.fixture
def all_states(blank: Page, stub: PageStub) -> Page:
    """One element in each state, on an ordinary page."""
    stub.answers |= {"/ann": [Answer()], "/bo": [NO_PHOTO], "/cy": [Answer(gate=stub.gate())]}
    blank.evaluate("document.body.append(Object.assign(document.createElement('h1'), { textContent: 'People' }))")
    has_status(add(blank, src="/ann", name="Ann Lee", placeholder=PREVIEW), "loaded")
    has_status(add(blank, src="/bo", name="محمد علي"), "error")
    has_status(add(blank, src="/cy", name="Cy"), "loading")
    add(blank, name="Di")
    add(blank, src="/ann")
    return blank


def test_axe_finds_no_violation_in_any_state_in_light_or_dark(all_states: Page) -> None:
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        all_states.emulate_media(color_scheme=scheme)
        result = Axe().run(all_states, context="lazy-image")
        assert result.violations_count == 0, f"{scheme}: {result.generate_report()}"


def test_an_element_with_a_name_is_an_image_and_one_without_is_decoration(all_states: Page) -> None:
    heading, *images = all_states.locator("body").aria_snapshot().splitlines()
    assert heading == '- heading "People" [level=1]'
    assert images == ['- img "Ann Lee"', '- img "محمد علي"', '- img "Cy"', '- img "Di"']


def test_screen_readers_do_not_read_the_initials_as_text(blank: Page) -> None:
    add(blank, name="")
    assert blank.locator("body").aria_snapshot() == ""


def test_a_changed_name_changes_the_description(blank: Page) -> None:
    image = add(blank, name="Ann")
    image.evaluate("(host) => { host.name = 'Bo'; }")
    expect(blank.get_by_role("img", name="Bo", exact=True)).to_have_count(1)
    image.evaluate("(host) => { host.name = ''; }")
    expect(image).to_have_role("none")
    assert image.get_attribute("aria-label") is None


def test_the_element_keeps_the_aria_attributes_of_the_author(blank: Page) -> None:
    said: list[dict[str, str]] = [
        {"aria-label": "Portrait"},
        {"role": "button"},
        {"aria-hidden": "true"},
        {"role": "presentation", "aria-label": "Portrait"},
    ]
    kept = []
    for own in said:
        image = add(blank, name="Ann", **own)
        image.evaluate("(host) => { host.name = 'Bo'; }")
        kept.append({name: image.get_attribute(name) for name in {"role", *own}})
    assert kept == [{"role": "img"} | own for own in said]


def test_aria_labelledby_makes_the_element_an_image(blank: Page) -> None:
    blank.evaluate(
        "document.body.append(Object.assign(document.createElement('p'), { id: 'who', textContent: 'Ann' }))"
    )
    add(blank, **{"aria-labelledby": "who"})
    expect(blank.get_by_role("img", name="Ann", exact=True)).to_have_count(1)


def test_a_clone_has_its_own_description(blank: Page) -> None:
    image = add(blank, name="Ann")
    image.evaluate("(host) => { const clone = host.cloneNode(); document.body.append(clone); clone.name = 'Bo'; }")
    expect(blank.get_by_role("img", name="Bo", exact=True)).to_have_count(1)


def test_initials_have_enough_contrast_on_each_of_the_seven_colours(blank: Page) -> None:
    backgrounds = {add(blank, name=f"Ann {number}").evaluate(BACKGROUND) for number in range(50)}
    ends = [re.findall(r"rgb\([^)]*\)", background) for background in backgrounds]
    assert [len(pair) for pair in ends] == [2] * 7
    ratios = [measure_contrast_with_white(end) for pair in ends for end in pair]
    assert min(ratios) >= 4.5, "below WCAG 2.2, 1.4.3"
    assert css(blank.locator("lazy-image").first, ".initials", "color") == ["rgb(255, 255, 255)"]


def test_the_skeleton_takes_the_colour_of_the_text(blank: Page, stub: PageStub) -> None:
    stub.answers["/ann"] = [Answer(gate=stub.gate())]
    image = add(blank, src="/ann", name="Ann")
    colours = []
    for ink in ("rgb(0, 0, 0)", "rgb(255, 255, 255)"):
        image.evaluate("(host, ink) => { host.style.color = ink; }", ink)
        colours += css(image, ".skeleton", "background-color")
    assert [colour.startswith(f"color(srgb {ink}") for colour, ink in zip(colours, "01", strict=True)] == [True, True]


def test_with_forced_colours_the_box_and_the_letters_stay_visible(all_states: Page) -> None:
    all_states.emulate_media(forced_colors="active")
    images = all_states.locator("lazy-image")
    assert css(images.nth(2), ".skeleton", "border-top-width", "border-top-style") == ["1px", "solid"]
    colour, paper, line = css(images.nth(1), ".initials", "color", "background-color", "border-top-color")
    assert colour == line != paper


def test_print_shows_the_picture_or_the_initials(all_states: Page) -> None:
    all_states.emulate_media(media="print")
    images = all_states.locator("lazy-image")
    expect(images.nth(0).locator(".picture")).to_be_visible()
    expect(images.nth(0).locator(".initials")).to_be_hidden()
    for place in (1, 2, 3):
        expect(images.nth(place).locator(".initials")).to_be_visible()
        assert css(images.nth(place), ".initials", "color") == ["rgb(0, 0, 0)"]


def test_a_page_can_style_the_parts(blank: Page) -> None:
    image = add(blank, name="Ann")
    blank.evaluate(
        """() => {
          const sheet = new CSSStyleSheet();
          sheet.replaceSync(`lazy-image { width: 90px; height: 120px; --lazy-image-radius: 8px; }
            lazy-image::part(initials) { background: rgb(1, 2, 3); }`);
          document.adoptedStyleSheets = [sheet];
        }"""
    )
    assert css(image, ".initials", "background-color", "width", "height") == ["rgb(1, 2, 3)", "90px", "120px"]
    assert css(image, ".initials", "font-size") == ["34.2px"], "not 0.38 of the width"


def test_the_element_works_under_a_strict_content_policy_and_contacts_no_other_host(page: Page, stub: PageStub) -> None:
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    html = STRICT_PAGE.format(preview=PREVIEW).encode()
    stub.answers |= {"/ann": [Answer()], "/strict": [Answer(picture=html, headers={"Content-Type": "text/html"})]}
    page.goto(f"{stub.url}/strict")
    images = page.locator("lazy-image")
    has_status(images.nth(0), "loaded")
    has_status(images.nth(1), "error")
    assert css(images.nth(1), ".initials", "width", "height") == ["48px", "48px"]
    assert css(images.nth(1), ".initials", "color") == ["rgb(255, 255, 255)"]
    assert hosts - {""} == {urlsplit(stub.url).netloc}
