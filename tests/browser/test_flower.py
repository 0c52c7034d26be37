"""Flower beside the running service: what each worker did, how long it took, and why a task failed."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from faketelegram import TEST_TOKEN
from tests.conftest import make_picture, wait_until
from tests.support.running import REQUEST_SECONDS, Service


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
        base_url=url, http_credentials={"username": user, "password": password}, viewport={"width": 1600, "height": 900}
    )
    yield context.new_page()
    context.close()


def test_flower_lists_each_warming_with_its_picture_duration_and_failure_cause(flower: Page, service: Service) -> None:
    assert service.telegram
    good, bad, odd = (service.telegram.world.add_file(make_picture()) for _ in range(3))
    service.telegram.fail("getFile", "invalid-file-id", times=None, file_id=bad)
    service.telegram.fail("download", "not-an-image", times=None, file_id=odd)
    service.call("POST", "/api/photos/warm", json={"photo_file_ids": [good, bad, odd]}).raise_for_status()
    answers = [r"done", r"unavailable: invalid-file-id, .+", r"unavailable: not-an-image, .+"]
    for file_id, outcome in zip((good, bad, odd), answers, strict=True):
        wait_until(lambda file_id=file_id: _is_listed(flower, file_id))  # type: ignore[misc]  # bound now
        row = flower.locator("#tasks-table tbody tr").filter(has_text=file_id)
        expect(row.first).to_contain_text("warm")
        expect(row.first).to_contain_text("SUCCESS")
        expect(row.first).to_contain_text(re.compile(outcome))
        expect(row.first.locator("td").filter(has_text=re.compile(r"^[\d.]+ m?s$"))).to_be_visible()  # the duration
    _search(flower, "result:unavailable")
    wait_until(lambda: _list_found(flower) >= {bad, odd} and good not in _list_found(flower))
    _search(flower, f'result:"unavailable: not-an-image" {odd}')
    wait_until(lambda: _list_found(flower) == {odd})
    assert TEST_TOKEN not in flower.content()
    assert TEST_TOKEN.partition(":")[2] not in flower.content()
    service.telegram.clear_faults()


def _is_listed(flower: Page, file_id: str) -> bool:
    """Reload Flower's list. Returns True if it shows a finished warming of this picture."""
    flower.goto("/tasks")
    flower.locator("#tasks-table tbody tr").first.wait_for()
    row = flower.locator("#tasks-table tbody tr").filter(has_text=file_id).filter(has_text="SUCCESS")
    return row.count() > 0


def _search(flower: Page, words: str) -> None:
    """Search as docs/operations.md describes."""
    flower.get_by_role("searchbox").fill(words)


def _list_found(flower: Page) -> set[str]:
    """Returns the file ids in Flower's table."""
    return set(re.findall(r"\['([\w-]+)', '\w+'\]", flower.locator("#tasks-table tbody").inner_text()))


def test_flower_requires_the_password(service: Service, flower: Page) -> None:
    url = f"http://127.0.0.1:{service.environment['FLOWER_PORT']}/tasks"
    answer = requests.get(url, timeout=REQUEST_SECONDS)
    assert answer.status_code == 401
    assert flower.goto(url).status == 200  # type: ignore[union-attr]  # a navigation has an answer
