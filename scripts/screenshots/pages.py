"""Take the pictures of `docs/` from a running demo, and of Flower beside it where its URL is given.

    .venv/bin/python scripts/screenshots/pages.py 'http://127.0.0.1:8000/?key=…' [http://admin:password@127.0.0.1:5555/]

Wants a Chromium on the PATH, the packages of the tests, and fonts for every name: without Debian's fonts-noto-core,
fonts-noto-cjk and fonts-noto-color-emoji some are boxes.
"""

from __future__ import annotations

import shutil
import sys
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

DOCS = Path(__file__).resolve().parents[2] / "docs"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 780}, "device_scale_factor": 2}
SMALL_PHONE: dict[str, Any] = {"viewport": {"width": 320, "height": 568}, "device_scale_factor": 2}
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
LISTS = (
    ("pictures/desktop-light.webp", DESKTOP),
    ("pictures/desktop-dark.webp", {**DESKTOP, "color_scheme": "dark"}),
    ("pictures/phone-light.webp", PHONE),
    ("pictures/phone-dark.webp", {**PHONE, "color_scheme": "dark"}),
    ("pictures/small-phone.webp", SMALL_PHONE),
)


def main(url: str, flower: str = "") -> int:
    (DOCS / "pictures").mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for name, options in LISTS:
            page = browser.new_page(**options)
            page.goto(url)
            expect(page.locator("#people-list lazy-image[status=loaded]").first).to_be_visible()
            expect(page.locator("lazy-image[status=loading]")).to_have_count(0)
            keep(page, name)
        take_comparison(browser, url)
        take_cold(browser, url)
        take_words(browser, url)
        if flower:
            take_flower(browser, flower)
        browser.close()
    return 0


def take_comparison(browser: Browser, url: str) -> None:
    """The control of the demo, after each way was tried."""
    page = browser.new_page(viewport={"width": 960, "height": 400})
    page.goto(url)
    expect(page.locator("#people-list lazy-image[status=loaded]").nth(3)).to_be_visible()
    for button in page.locator("#compare button").all():
        button.click()
        expect(page.locator("#compare-note")).to_contain_text("4 pictures in")
    keep(page, "pictures/comparison.webp")


def take_cold(browser: Browser, url: str) -> None:
    """Names and previews, while no picture has come yet."""
    page = browser.new_page(**PHONE)
    page.route("**/api/photos/**", leave_open)
    page.goto(url)
    page.locator("lazy-image[status=loading]").nth(4).wait_for()
    keep(page, "pictures/cold.webp")


def leave_open(_: Route) -> None:
    """Answer never."""


def take_words(browser: Browser, url: str) -> None:
    """What stands in place of a list that did not load."""
    page = browser.new_page(**PHONE, color_scheme="dark")
    page.route("**/recent?*", lambda route: route.abort())
    page.goto(url)
    page.get_by_role("alert").wait_for()
    keep(page, "pictures/offline.webp")


def take_flower(browser: Browser, url: str) -> None:
    """Its table of tasks."""
    parts = urlsplit(url)
    credentials: Any = {"username": parts.username, "password": parts.password}
    page = browser.new_page(viewport={"width": 1400, "height": 700}, http_credentials=credentials)
    page.goto(f"http://{parts.hostname}:{parts.port}/tasks")
    page.locator("#tasks-table tbody tr").nth(3).wait_for()
    keep(page, "pictures/flower.webp")


def keep(page: Page, name: str) -> None:
    """Write the picture into docs/, small."""
    shot = Image.open(BytesIO(page.screenshot(animations="disabled")))
    shot.convert("RGB").save(DOCS / name, quality=82, method=6)
    page.close()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
