"""The page of the running service: cold, with a slow Telegram, with a broken photo, and warm."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol
from urllib.parse import urljoin

import pytest
import requests
from playwright.sync_api import Locator, Page, expect

from tests.conftest import next_id, wait_until
from tests.support.running import REQUEST_SECONDS, Service
from tests.support.seen import MOST_SHIFTED, NOTE_SHIFTS, list_on_top, measure_shift


class Join(Protocol):
    """Register a new person for whose picture Telegram has this fault. Returns the id."""

    def __call__(self, name: str, fault: dict[str, object]) -> int: ...


@pytest.fixture
def join(demo: Service) -> Iterator[Join]:
    settings = (demo.data_dir / "running.env").read_text()
    fake = re.search(r"TELEGRAM_API_URL='?([^'\n]+)", settings)[1]  # type: ignore[index]  # the runner wrote it
    joined: list[int] = []

    def join(name: str, fault: dict[str, object]) -> int:
        joined.append(next_id())
        person = {"id": joined[-1], "first_name": name}
        requests.post(f"{fake}/_fake/users", json=person, timeout=REQUEST_SECONDS).raise_for_status()
        rule = {"method": "getFile", "user_id": joined[-1], "times": "forever"} | fault
        requests.post(f"{fake}/_fake/faults", json=rule, timeout=REQUEST_SECONDS).raise_for_status()
        demo.ask("PUT", f"/api/partner/{joined[-1]}", json={"name": name}).raise_for_status()
        return joined[-1]

    yield join
    requests.delete(f"{fake}/_fake/faults", timeout=REQUEST_SECONDS).raise_for_status()
    for ident in joined:
        demo.ask("DELETE", f"/api/partner/{ident}").raise_for_status()


def wait_for_part(page: Page, name: str, what: str) -> Locator:
    """Returns the person's <lazy-image> once this part is on top in its box."""
    image = page.get_by_role("listitem").filter(has_text=name).locator("lazy-image")
    wait_until(lambda: list_on_top(image) == [what])
    return image


def status_of(demo: Service, ident: int) -> Callable[[], str]:
    return lambda: str(demo.ask("GET", f"/api/partner/{ident}").json()["photo_status"])


def test_a_slow_picture_appears_after_more_than_one_request(page: Page, demo: Service, join: Join) -> None:
    page.add_init_script(NOTE_SHIFTS)

    def see_skeleton() -> str:
        """Load the page with a new person. Returns the name, or nothing if a busy machine has the picture sooner."""
        name = f"Slowly Coming {next_id()}"
        join(name, {"fault": "late", "seconds": 8})  # a call may take 10
        page.goto(demo.page)
        image = page.get_by_role("listitem").filter(has_text=name).locator("lazy-image")
        parts = wait_until(lambda: set(list_on_top(image)) & {"skeleton", "picture"})
        return name if parts == {"skeleton"} else ""

    wait_for_part(page, wait_until(see_skeleton), "picture")
    assert measure_shift(page) < MOST_SHIFTED


def test_a_broken_photo_shows_initials_and_affects_no_other_photo(page: Page, demo: Service, join: Join) -> None:
    ident = join("Broken Photo", {"fault": "invalid-file-id"})
    wait_until(lambda: status_of(demo, ident)() in ("unavailable", "none"))
    page.goto(demo.page)
    wait_for_part(page, "Broken Photo", "initials")
    expect(page.locator("#people-list lazy-image[status=loaded]").first).to_be_visible()
    expect(page.locator("lazy-image[status=loading]")).to_have_count(0)
    shown = [what for what in list_on_top(page.locator("#people-list lazy-image")) if what != "nothing"]
    assert sorted(set(shown)) == ["initials", "picture"]
    assert shown.count("initials") == 1


def test_the_warm_page_shows_only_pictures_without_a_failed_request_or_a_shift(page: Page, demo: Service) -> None:
    page.add_init_script(NOTE_SHIFTS)
    failed: list[str] = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)

    def loads_without_failure() -> bool:
        """Load the page: at first a picture may be warming, and a busy machine refuses some requests."""
        failed.clear()
        page.goto(demo.page)
        expect(page.locator("#people-list lazy-image[status=loaded]").first).to_be_visible()
        expect(page.locator("lazy-image[status=loading]")).to_have_count(0)
        return not failed

    wait_until(loads_without_failure)
    wait_until(lambda: set(list_on_top(page.locator("#people-list lazy-image"))) == {"picture", "nothing"})
    assert measure_shift(page) < MOST_SHIFTED


def test_the_comparison_of_the_demo_measures_all_three_ways_and_leaves_everything_warm(
    page: Page, demo: Service
) -> None:
    page.goto(demo.page)
    expect(page.locator("#people-list lazy-image[status=loaded]").nth(3)).to_be_visible()
    note = page.locator("#compare-note")

    def is_measured(way: str) -> bool:
        """Press the button. A run in which a busy machine refuses a request measures nothing."""
        page.get_by_role("button", name=way, exact=True).click()
        expect(note).to_contain_text(re.compile("pictures in|did not work"))
        return "4 pictures in" in note.inner_text()

    for way in ("cold", "as the original did it", "warm"):
        wait_until(partial(is_measured, way))
    assert all(ms.isdecimal() for ms in page.locator(".ms").all_text_contents())
    newest = demo.ask("GET", "/api/partner/recent?limit=4").json()["partners"]
    assert [partner["photo_status"] for partner in newest] == ["ready"] * 4
    for part, status in (("Operations", 200), ("Flower", 401)):  # Flower wants its own password
        link = page.get_by_role("link", name=part).get_attribute("href")
        assert link
        assert page.request.get(urljoin(page.url, link)).status == status


def test_the_people_of_the_demo_joined_over_days(page: Page, demo: Service) -> None:
    page.goto(demo.page)
    shown = page.get_by_role("listitem").locator("time")
    expect(shown).to_have_count(24)
    words = shown.all_text_contents()
    assert re.search("(minutes?|hours?) ago", words[0])  # hours in a long run of the tests
    assert "days ago" in words[-1]
    assert len(set(words)) > 12
