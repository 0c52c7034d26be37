"""The control at the top of the demo: it loads the first four pictures again, in three ways, and measures."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from tests.browser.test_page import PROBLEM, open_signed_in, partner
from tests.support.page_stub import Answer, PageStub, stop_clock, until
from tests.support.seen import MOST_SHIFTED, NOTE_SHIFTS, is_wider_than_the_screen, list_violations, measure_shift

PHONES: list[ViewportSize] = [{"width": 320, "height": 568}, {"width": 390, "height": 780}]
WAYS = ["cold", "warm", "original"]
LABELS = {"cold": "cold", "warm": "warm", "original": "as the original did it"}


def script(stub: PageStub, *, status: str = "ready") -> None:
    """Six people; /demo/recent lists them, too. The sixth has this status."""
    people = [with_query(partner(ident)) for ident in range(1, 6)] + [with_query(partner(6, status=status))]
    stub.answers |= {
        "/api/partner/me": [Answer(json=people[0])],
        "/api/partner/recent": [Answer(json={"partners": people})],
        "/demo/recent": [Answer(json={"partners": people})],
        "/demo/empty": [Answer(json={})],
        **{f"/photo/{ident}": [Answer()] for ident in range(1, 7)},
    }


def with_query(one: dict[str, Any]) -> dict[str, Any]:
    """The partner with photo URLs that have a query, as those of the service."""
    url = f"{one['photo_url']}?size=80"
    return one | {"photo_url": url, "photo_srcset": f"{url} 80w, {url}0 800w"}


def open_demo(page: Page, stub: PageStub) -> None:
    open_signed_in(page, stub)
    expect(page.locator("#me lazy-image[status=loaded]")).to_be_visible()
    expect(page.locator("#people-list lazy-image[status=loaded]").nth(3)).to_be_visible()
    expect(page.locator("lazy-image[status=loading]")).to_have_count(0)


def list_calls(stub: PageStub) -> list[str]:
    """Returns the calls that ask for no picture."""
    return [call for call in stub.calls if "/photo/" not in call]


def press(page: Page, way: str) -> Locator:
    """Returns what the page says about the run."""
    page.get_by_role("button", name=LABELS[way], exact=True).click()
    return page.locator("#compare-note")


def read_ms(page: Page, way: str) -> list[str]:
    return page.locator(f"[data-way={way}] .ms").all_text_contents()


@pytest.mark.parametrize("way", WAYS)
def test_a_press_loads_the_first_four_pictures_again_and_shows_what_each_took(
    page: Page, stub: PageStub, way: str
) -> None:
    script(stub)
    open_demo(page, stub)
    assert read_ms(page, way) == ["–"] * 4
    stub.calls.clear()
    expect(press(page, way)).to_contain_text("4 pictures in")
    took = [int(ms) for ms in read_ms(page, way)]
    assert page.locator(f"[data-way={way}] .total span").text_content() == f"{max(took)} ms"
    assert [other for other in WAYS if other != way and read_ms(page, other) != ["–"] * 4] == []
    assert [stub.calls.count(f"GET /photo/{ident}") for ident in range(1, 5)] == [1] * 4
    expect(page.locator("#people-list lazy-image[status=loaded]").nth(3)).to_be_visible()


def test_bars_have_one_scale(page: Page, stub: PageStub) -> None:
    script(stub)
    open_demo(page, stub)
    for way in WAYS:
        expect(press(page, way)).to_contain_text("4 pictures in")
    shares: list[float] = page.locator(".measures p").evaluate_all(
        "(rows) => rows.map((row) => Number(row.style.getPropertyValue('--share')))"
    )
    assert len(shares) == 12
    assert all(0 < share <= 1 for share in shares)
    assert max(shares) == 1


def test_cold_empties_first_and_its_list_warms_and_warm_empties_nothing(page: Page, stub: PageStub) -> None:
    script(stub)
    open_demo(page, stub)
    stub.calls.clear()
    expect(press(page, "cold")).to_contain_text("4 pictures in")
    assert list_calls(stub) == ["POST /demo/empty", "GET /api/partner/recent"]
    stub.calls.clear()
    expect(press(page, "warm")).to_contain_text("4 pictures in")
    assert list_calls(stub) == ["GET /api/partner/recent"] * 2  # one to see that all is stored


def test_warm_starts_only_when_the_pictures_are_stored(page: Page, stub: PageStub) -> None:
    script(stub)
    open_demo(page, stub)
    people: list[dict[str, Any]] = (stub.answers["/api/partner/recent"][0].json or {})["partners"]
    cold = Answer(json={"partners": [people[0] | {"photo_status": "warming"}, *people[1:]]})
    stub.answers["/api/partner/recent"] = [cold, Answer(json={"partners": people})]
    stub.calls.clear()
    expect(press(page, "warm")).to_contain_text("4 pictures in")
    assert list_calls(stub) == ["GET /api/partner/recent"] * 3  # two looks, then the measured list


@pytest.mark.parametrize("way", WAYS)
def test_the_four_pictures_are_requested_together(page: Page, stub: PageStub, way: str) -> None:
    script(stub)
    open_demo(page, stub)
    gate = stub.gate()
    stub.answers["/photo/1"] = [Answer(gate=gate), Answer()]
    stub.calls.clear()
    note = press(page, way)
    until(lambda: {f"GET /photo/{ident}" for ident in range(1, 5)} <= {*stub.calls}, "all four are requested")
    expect(page.locator(f"[data-way={way}] button")).to_have_attribute("aria-disabled", "true")
    page.locator(f"[data-way={way}] button").dispatch_event("click")  # does nothing now
    gate.set()
    expect(note).to_contain_text("4 pictures in")
    expect(page.locator(f"[data-way={way}] button")).to_have_attribute("aria-disabled", "false")
    assert [stub.calls.count(f"GET /photo/{ident}") for ident in range(1, 5)] == [1] * 4


def test_only_pictures_that_exist_are_measured_and_counted(page: Page, stub: PageStub) -> None:
    script(stub)
    open_demo(page, stub)
    people: list[dict[str, Any]] = (stub.answers["/api/partner/recent"][0].json or {})["partners"]
    bare = [one | dict.fromkeys(("photo_url", "photo_srcset", "photo_placeholder")) for one in people]
    for newest, words, figures in ([people[0], *bare[1:4]], "1 picture in", 1), (bare[:4], "No pictures.", 0):
        stub.answers["/api/partner/recent"] = [Answer(json={"partners": [*newest, *people[4:]]})]
        expect(press(page, "warm")).to_contain_text(words)
        assert [ms.isdecimal() for ms in read_ms(page, "warm")] == [True] * figures + [False] * (4 - figures)


def test_while_the_original_is_imitated_the_page_requests_no_list_that_would_warm(page: Page, stub: PageStub) -> None:
    stop_clock(page)
    script(stub, status="warming")
    open_signed_in(page, stub)
    expect(page.locator("#me")).to_be_visible()
    page.clock.run_for(1500)  # the page watches the sixth picture
    until(lambda: stub.calls.count("GET /api/partner/recent") == 2, "the list is requested again")
    gate = stub.gate()
    stub.answers["/photo/1"] = [Answer(gate=gate), Answer()]
    stub.calls.clear()
    press(page, "original")
    until(lambda: "GET /photo/1" in stub.calls, "the first picture is requested")
    page.clock.run_for(20_000)  # less than a picture has patience
    assert list_calls(stub) == ["POST /demo/empty", "GET /demo/recent"]
    gate.set()
    until(lambda: "GET /photo/4" in stub.calls, "the last picture is requested")


@pytest.mark.parametrize("path", ["/demo/empty", "/demo/recent", "/photo/3"])
def test_a_run_that_fails_says_so_leaves_no_figure_and_can_be_repeated(page: Page, stub: PageStub, path: str) -> None:
    script(stub)
    open_demo(page, stub)
    good = stub.answers[path]
    stub.answers[path] = [Answer(404, json=PROBLEM)]
    expect(press(page, "original")).to_contain_text("did not work")
    assert read_ms(page, "original") == ["–"] * 4
    restored = page.locator("#people-list li:nth-child(-n+4) lazy-image[status=loaded]")
    expect(restored).to_have_count(4)
    stub.answers[path] = good
    expect(press(page, "original")).to_contain_text("4 pictures in")


def test_the_list_begins_on_the_first_screen_of_a_phone_and_nothing_moves(page: Page, stub: PageStub) -> None:
    page.add_init_script(NOTE_SHIFTS)
    for size in PHONES:
        page.set_viewport_size(size)
        script(stub)
        open_demo(page, stub)
        box = page.get_by_role("listitem").first.bounding_box()
        assert box
        assert box["y"] + 24 < size["height"], "not a line of the first person is on the screen"
        for way in WAYS:
            expect(press(page, way)).to_contain_text("4 pictures in")
        assert not is_wider_than_the_screen(page)
        assert measure_shift(page) < MOST_SHIFTED
        assert page.get_by_role("listitem").first.bounding_box() == box


def test_the_comparison_is_accessible_in_light_and_dark(page: Page, stub: PageStub) -> None:
    page.emulate_media(reduced_motion="reduce")
    script(stub)
    stub.context["links"] = [("Docs", "https://docs.example"), ("Operations", "ops")]
    open_demo(page, stub)
    expect(press(page, "cold")).to_contain_text("4 pictures in")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert list_violations(page) == ""
