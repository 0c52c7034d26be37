"""The weight of a first visit: what a phone loads of the page with two dozen people whose pictures are stored."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from urllib.parse import quote

import requests
from init_data_py import sign
from init_data_py.models import UnsignedInitData, User
from playwright.sync_api import Browser, Request, expect

from benches.extent import choose
from benches.results import Recorder, Row, make_row
from benches.service import NAME, Service, start_service
from benches.testbed import open_testbed, wait_for
from benches.upstream import start_upstream

PEOPLE, SHOWN = 24, 4
VISITS = choose(3, 1)
WORK = f"a first visit with {PEOPLE} people"
VIEWER = User(id=1, first_name="Partner 1")  # who joined first
VIEWPORT = {"width": 390, "height": 844}  # a phone
# The requests up to those of the first four pictures, the page included; others begin later or beside them.
COUNT_REQUESTS = f"""() => {{
  const images = [...document.querySelectorAll('#people-list lazy-image[src]')].slice(0, {SHOWN});
  const urls = new Set(images.map((image) => image.shadowRoot.querySelector('.picture').currentSrc));
  const requests = performance.getEntriesByType('resource');
  const last = Math.max(...requests.filter((one) => urls.has(one.name)).map((one) => one.startTime));
  return 1 + requests.filter((one) => one.startTime <= last).length;
}}"""


def measure(browser: Browser, recorder: Recorder, say: Callable[[str], None]) -> list[Row]:
    """Visit the page of a service with its default sizes and formats; the targets."""
    with open_testbed() as testbed:
        redis = testbed.start_redis()
        upstream = start_upstream(testbed, PEOPLE)
        service = start_service(testbed, redis)
        register_people(service, upstream.take(PEOPLE))
        token = testbed.environment["TELEGRAM_BOT_TOKEN"]
        link = f"http://127.0.0.1:{service.port}/#tgWebAppData={quote(sign(UnsignedInitData(user=VIEWER), token))}"
        for number in range(VISITS):
            say(f"{WORK}, {number + 1} of {VISITS}")
            recorder.note(WORK, NAME, weigh(browser, link))
    return [
        make_row(WORK, "bytes", recorder.list_rounds(WORK, NAME, "kB"), 70, max, is_floor=False, unit="kB"),
        make_row(
            WORK,
            "requests up to the first four pictures",
            recorder.list_rounds(WORK, NAME, "requests"),
            12,
            max,
            is_floor=False,
            unit="",
        ),
    ]


def register_people(service: Service, file_ids: list[str]) -> None:
    """Register them, and wait until the list has all pictures and previews."""
    root, headers = f"http://127.0.0.1:{service.port}/api", service.testbed.headers
    with requests.Session() as session:
        session.headers.update(headers)
        for number, file_id in enumerate(file_ids, start=1):
            body = {"name": f"Partner {number}", "photo_file_id": file_id}
            session.put(f"{root}/partner/{number}", json=body, timeout=10).raise_for_status()
        service.ask_to_warm(file_ids)

        def is_ready() -> bool:
            partners = session.get(f"{root}/partner/recent?limit={PEOPLE}", timeout=10).json()["partners"]
            return all(one["photo_status"] == "ready" and one["photo_placeholder"] for one in partners)

        wait_for("every picture", is_ready)


def weigh(browser: Browser, link: str) -> dict[str, float]:
    """The bytes of a visit with an empty cache, headers included, and the requests for the first four pictures."""
    finished: list[Request] = []
    context = browser.new_context(viewport=VIEWPORT, device_scale_factor=2)  # type: ignore[arg-type]  # a TypedDict
    with closing(context), closing(context.new_page()) as page:
        page.on("requestfinished", lambda request: finished.append(request))  # Playwright wraps no built-in method
        page.goto(link)
        expect(page.locator("#people-list lazy-image[status=loaded]").nth(SHOWN - 1)).to_be_visible(timeout=30_000)
        expect(page.locator("lazy-image[status=loading]")).to_have_count(0, timeout=30_000)
        number = page.evaluate(COUNT_REQUESTS)
        sizes = [request.sizes() for request in finished if request.url.startswith("http")]
    weight = sum(one["responseHeadersSize"] + one["responseBodySize"] for one in sizes)
    return {"kB": weight / 1000, "requests": float(number)}
