"""Flower beside the running service: what each worker did, how long it took, and why a task failed."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from faketelegram import TEST_TOKEN
from tests.conftest import make_picture, wait_until
from tests.support.page_stub import PATIENCE_MS
from tests.support.running import REQUEST_SECONDS, Service

WIDTH = 1280  # px, of a laptop


@pytest.fixture
def flower(browser: Browser, service: Service) -> Iterator[Page]:
    """Flower's page, signed in with the generated password, once Flower knows the workers."""
    keys = (service.data_dir / "keys.env").read_text()
    user, password = re.search(r"FLOWER_BASIC_AUTH='?(\w+):([^'\n]+)", keys).groups()  # type: ignore[union-attr]  # made
    url = f"http://127.0.0.1:{service.environment['FLOWER_PORT']}"

    def knows_the_workers() -> bool:
        answer = requests.get(f"{url}/workers?json=1", auth=(user, password), timeout=REQUEST_SECONDS)
        return len(answer.json()["data"]) > 1

    wait_until(knows_the_workers)
    context = browser.new_context(
        base_url=url,
        http_credentials={"username": user, "password": password},
        viewport={"width": WIDTH, "height": 900},
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    context.close()


def test_flower_lists_each_warming_with_its_picture_duration_and_failure_cause(flower: Page, service: Service) -> None:
    assert service.telegram
    good, bad, odd = (service.telegram.world.add_file(make_picture()) for _ in range(3))
    service.telegram.fail("getFile", "invalid-file-id", times=None, file_id=bad)
    service.telegram.fail("download", "not-an-image", times=None, file_id=odd)
    service.ask("POST", "/api/photos/warm", json={"photo_file_ids": [good, bad, odd]}).raise_for_status()
    answers = ["done", "unavailable: invalid-file-id, ", "unavailable: not-an-image, "]
    states = ["SUCCESS", "FAILURE", "FAILURE"]
    for file_id, outcome, state in zip((good, bad, odd), answers, states, strict=True):
        wait_until(lambda file_id=file_id, state=state: _is_listed(flower, file_id, state))  # type: ignore[misc]  # bound now
        row = flower.locator("#tasks-table tbody tr").filter(has_text=_shorten(file_id))
        expect(row.first).to_contain_text("warm")
        expect(row.first).to_contain_text(outcome)
        expect(row.first.locator("td").filter(has_text=re.compile(r"^[\d.]+ m?s$"))).to_be_visible()  # the duration
    assert flower.evaluate("document.documentElement.scrollWidth") <= WIDTH
    cut = "[...document.querySelectorAll('.dataTables_scrollBody')].filter((one) => one.scrollWidth > one.clientWidth)"
    assert flower.evaluate(f"{cut}.length") == 0, "a column lies outside of the window"
    _search(flower, "result:unavailable")
    wait_until(
        lambda: {_shorten(bad), _shorten(odd)} <= _list_found(flower) and _shorten(good) not in _list_found(flower)
    )
    _search(flower, f'state:FAILURE result:"unavailable: not-an-image" {odd}')
    wait_until(lambda: _list_found(flower) == {_shorten(odd)})
    flower.locator("#tasks-table tbody a").first.click()
    expect(flower.locator("body")).to_contain_text(odd)
    assert TEST_TOKEN not in flower.content()
    assert TEST_TOKEN.partition(":")[2] not in flower.content()
    service.telegram.clear_faults()


def _shorten(file_id: str) -> str:
    """The file id as the table shows it."""
    return f"{file_id[:20]}…"


def _is_listed(flower: Page, file_id: str, state: str) -> bool:
    """Reload Flower's list. Returns True if it shows a finished warming of this picture."""
    flower.goto("/tasks")
    flower.locator("#tasks-table tbody tr").first.wait_for()
    row = flower.locator("#tasks-table tbody tr").filter(has_text=_shorten(file_id)).filter(has_text=state)
    return row.count() > 0


def _search(flower: Page, words: str) -> None:
    """Search as docs/operations.md describes."""
    flower.get_by_role("searchbox").fill(words)


def _list_found(flower: Page) -> set[str]:
    """Returns the file ids in Flower's table."""
    return set(re.findall(r"([\w-]+…) \w+", flower.locator("#tasks-table tbody").inner_text()))


def test_flower_requires_the_password(service: Service, flower: Page) -> None:
    url = f"http://127.0.0.1:{service.environment['FLOWER_PORT']}/tasks"
    answer = requests.get(url, timeout=REQUEST_SECONDS)
    assert answer.status_code == 401
    assert flower.goto(url).status == 200  # type: ignore[union-attr]  # a navigation has an answer
