"""The page at / against scripted answers and, with `demo`, against the running service."""

import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from playwright.sync_api import Browser, Locator, Page, Request, expect

from tests.support.page_stub import PATIENCE_MS, PREVIEW, Answer, PageStub, stop_clock, until
from tests.support.waiting import wait_until

INIT_DATA = "user=%7B%22id%22%3A1%2C%22first_name%22%3A%22Ann%20%2B%20Bo%22%7D&auth_date=1&hash=ab"
PROBLEM = {"type": "about:blank", "title": "Not now"}


class Demo(Protocol):
    """The running service in demo mode."""

    page: str  # with the page key
    url: str


def photo(ident: int) -> dict[str, str]:
    url = f"/photo/{ident}"
    return {"photo_url": url, "photo_srcset": f"{url} 80w, {url} 160w", "photo_placeholder": PREVIEW}


def partner(ident: int, name: str = "", status: str = "ready", **changes: Any) -> dict[str, Any]:
    joined = datetime.now(UTC) - timedelta(minutes=3 * ident)
    known: dict[str, Any] = {"id": ident, "name": name or f"Person {ident}", "joined_at": joined.isoformat()}
    return known | photo(ident) | {"photo_status": status} | changes


def script_list(stub: PageStub, *lists: list[dict[str, Any]]) -> None:
    """Script the answers: the first of the list is signed in, and /recent returns these lists one after another."""
    stub.answers["/api/partner/me"] = [Answer(json=lists[0][0])]
    stub.answers["/api/partner/recent"] = [Answer(json={"partners": partners}) for partners in lists]
    for ident in range(6):
        stub.answers[f"/photo/{ident}"] = [Answer()]


def open_signed_in(page: Page, stub: PageStub) -> Locator:
    stub.context |= {"demo": True, "init_data": INIT_DATA}
    page.goto(stub.url)
    return page.get_by_role("listitem")


def test_names_appear_at_once_and_pictures_load_without_moving_them(page: Page, stub: PageStub) -> None:
    script_list(stub, [partner(1, "Ann"), partner(2, "Bo")])
    gate = stub.gate()
    for ident in (1, 2):
        stub.answers[f"/photo/{ident}"] = [Answer(gate=gate)]
    people = open_signed_in(page, stub)
    expect(people).to_contain_text(["Ann", "Bo"])
    expect(people.nth(1)).to_contain_text(re.compile("joined [67] minutes ago"))  # a slow machine takes a minute
    expect(page.locator("#me")).to_contain_text("Signed in as Ann")
    before = [people.nth(place).bounding_box() for place in range(2)]
    gate.set()
    expect(people.locator("lazy-image[status=loaded]")).to_have_count(2)
    assert [people.nth(place).bounding_box() for place in range(2)] == before


def test_the_page_reloads_the_list_often_only_while_a_picture_is_warming(page: Page, stub: PageStub) -> None:
    stop_clock(page)
    nothing = dict.fromkeys(photo(2))
    script_list(stub, [partner(2, "Bo", "warming", **nothing), partner(3)], [partner(2, "Bo"), partner(3)])
    gate = stub.gate()
    stub.answers["/photo/3"] = [Answer(gate=gate)]
    people = open_signed_in(page, stub)
    expect(page.locator("#me")).to_be_visible()
    expect(people.first.locator(".initials")).to_have_text("B")
    page.evaluate("document.querySelector('li').mark = 'the same element'")
    page.clock.run_for(1500)
    expect(people.first.locator("lazy-image")).to_have_attribute("status", "loaded")
    gate.set()
    expect(people.locator("lazy-image[status=loaded]")).to_have_count(2)
    assert stub.calls.count("GET /photo/3") == 1, "a refresh of the list loaded the picture again"
    assert page.evaluate("document.querySelector('li').mark") == "the same element"
    page.clock.run_for(50_000)
    expect(people).to_have_count(2)
    assert stub.calls.count("GET /api/partner/recent") == 2


def test_an_open_page_shows_a_changed_picture_within_a_minute(page: Page, stub: PageStub) -> None:
    stop_clock(page)
    script_list(stub, [partner(1, "Ann")], [partner(1, "Ann", **photo(5))])
    people = open_signed_in(page, stub)
    expect(people.locator("lazy-image[status=loaded]")).to_have_count(1)
    page.evaluate("document.querySelector('li').mark = 'the same element'")
    page.clock.run_for(60_500)
    expect(people.locator("lazy-image")).to_have_attribute("src", "/photo/5")
    expect(people.locator("lazy-image[status=loaded]")).to_have_count(1)
    expect(page.locator("#me lazy-image")).to_have_attribute("src", "/photo/5")
    until(lambda: "GET /photo/5" in stub.calls, "the new picture was not loaded")
    assert page.evaluate("document.querySelector('li').mark") == "the same element"


def test_a_page_that_nobody_sees_does_not_reload_the_list(page: Page, stub: PageStub) -> None:
    stop_clock(page)
    script_list(stub, [partner(1, "Ann")])
    expect(open_signed_in(page, stub).locator("lazy-image[status=loaded]")).to_have_count(1)
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    page.clock.run_for(180_000)
    page.evaluate("delete document.hidden")
    assert stub.calls.count("GET /api/partner/recent") == 1
    page.clock.run_for(60_500)
    until(lambda: stub.calls.count("GET /api/partner/recent") == 2, "a visible page did not reload the list")


def test_a_refresh_inserts_new_partners_in_order_and_removes_old_ones(page: Page, stub: PageStub) -> None:
    stop_clock(page)
    script_list(stub, [partner(2, "Bo", "warming"), partner(3, "Cy")], [partner(1, "Ann"), partner(2, "Bo")])
    people = open_signed_in(page, stub)
    expect(people).to_contain_text(["Bo", "Cy"])
    expect(page.locator("#me")).to_be_visible()
    page.clock.run_for(1500)
    expect(people).to_contain_text(["Ann", "Bo"])
    expect(people).to_have_count(2)


def test_inside_telegram_the_launch_fragment_signs_in_and_leaves_the_address_bar(page: Page, stub: PageStub) -> None:
    script_list(stub, [partner(1, "Ann")])
    page.goto(f"{stub.url}/#tgWebAppData={quote(INIT_DATA)}&tgWebAppVersion=9.1")
    expect(page.get_by_role("listitem")).to_have_count(1)
    expect(page.locator("#me")).to_be_visible()
    assert page.url == f"{stub.url}/"
    assert {call for call in stub.calls if "/api/" in call} == {"POST /api/partner/me", "GET /api/partner/recent"}
    assert [given for given in stub.authorizations if given] == [f"tma {INIT_DATA}"] * 2
    page.reload()
    expect(page.get_by_role("listitem")).to_have_count(1)


def test_a_name_with_markup_is_shown_as_text(page: Page, stub: PageStub) -> None:
    name = '"><img src=x onerror=alert(1)>'
    script_list(stub, [partner(2, name)])
    expect(open_signed_in(page, stub).locator(".name")).to_have_text(name)


def test_a_failed_list_shows_an_error_and_a_retry_button_that_works(page: Page, stub: PageStub) -> None:
    script_list(stub, [partner(2)])
    stub.answers["/api/partner/recent"].insert(0, Answer(503, json=PROBLEM))
    people = open_signed_in(page, stub)
    expect(page.get_by_role("alert")).to_contain_text("could not be loaded")
    page.get_by_role("button", name="Try again").click()
    expect(people).to_have_count(1)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_an_expired_sign_in_shows_an_error(page: Page, stub: PageStub) -> None:
    stub.answers |= {f"/api/partner/{name}": [Answer(401, json=PROBLEM)] for name in ("me", "recent")}
    open_signed_in(page, stub)
    expect(page.get_by_role("alert")).to_contain_text("sign-in is no longer valid")


def test_the_demo_shows_24_people_with_pictures_and_contacts_no_other_host(page: Page, demo: Demo) -> None:
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    images = page.locator("#people-list lazy-image")

    def shows_all() -> bool:
        """Load the page and scroll to its end. An element of a busy machine may give its picture up."""
        page.goto(demo.page)
        expect(page.locator("#me")).to_contain_text("Signed in as")
        expect(page.get_by_role("listitem")).to_have_count(24)
        for place in range(24):
            images.nth(place).scroll_into_view_if_needed()
            expect(images.nth(place)).to_have_attribute("status", re.compile("loaded|error"))
        return page.locator("#people-list lazy-image[status=loaded]").count() == 24

    wait_until(shows_all)
    widths = images.evaluate_all("(all) => all.map((one) => one.shadowRoot.querySelector('.picture').naturalWidth)")
    assert all(width > 0 for width in widths)
    pulsing = (
        "(all) => all.flatMap((one) => one.shadowRoot.getAnimations()).filter((one) => one.animationName == 'pulse')"
    )
    until(lambda: page.locator("lazy-image").evaluate_all(f"{pulsing}.length") == 0, "no skeleton pulses")
    assert hosts - {""} == {urlsplit(demo.url).netloc}


def test_a_phones_first_visit_takes_12_requests_for_the_first_four_pictures_and_70_kb_in_all(
    browser: Browser, demo: Demo
) -> None:
    requests, size = wait_until(lambda: count_first_visit(browser, demo))
    assert requests <= 12 - 4 - 1  # the first four, and the visitor's own
    assert size <= 70_000


def count_first_visit(browser: Browser, demo: Demo) -> tuple[int, int] | None:
    """Returns the requests except those of pictures, and all bytes; None if a busy machine refused a request."""
    finished: list[Request] = []
    refused: list[str] = []
    with closing(browser.new_page(viewport={"width": 390, "height": 844}, device_scale_factor=2)) as page:
        page.on("requestfinished", lambda request: finished.append(request))  # Playwright wraps no built-in method
        page.on("response", lambda answer: refused.append(answer.url) if answer.status >= 500 else None)
        page.set_default_timeout(PATIENCE_MS)
        page.goto(demo.page)
        expect(page.locator("#people-list lazy-image[status=loaded]").nth(3)).to_be_visible()
        expect(page.locator("lazy-image[status=loading]")).to_have_count(0)
        sent = [request for request in finished if request.url.startswith("http") and "?key=" not in request.url]
        sizes = [request.sizes() for request in sent]
    if refused:
        return None
    size = sum(one["responseHeadersSize"] + one["responseBodySize"] for one in sizes)
    return len([request for request in sent if "/api/photos/" not in request.url]), size
