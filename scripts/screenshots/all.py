"""Take pictures of every page in each of its states, light and dark, on a phone and on a desktop, to be looked at.

    .venv/bin/python scripts/screenshots/all.py FOLDER [demo | bot | ops | docs]…

It starts what it shows. The pictures in docs/ are taken by pages.py, ops.py and film.py. Wants what pages.py wants.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Browser, Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from screenshots import ops
from screenshots.pages import ARGUMENTS
from screenshots.services import OwnBot, run_demo, run_own_bot, serve_docs

SIZES: dict[str, dict[str, Any]] = {
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2},
    "desktop": {"viewport": {"width": 1280, "height": 800}},
}
PATIENCE_MS = 120_000  # a state of the bot is known within 45 s; a busy machine takes longer
LOOK_EVERY_MS = 1000
THEME = {  # of a user of Telegram
    "bg_color": "#17212b", "secondary_bg_color": "#232e3c", "section_bg_color": "#17212b", "text_color": "#f5f5f5",
    "hint_color": "#708499", "link_color": "#6ab3f3", "button_color": "#5288c1", "button_text_color": "#ffffff",
}  # fmt: skip
SOMEBODY, NOBODY = "7000000001", "4242"  # ids
Open = Callable[[Page], object]


@dataclass(frozen=True)
class Camera:
    """Writes pictures into a folder."""

    browser: Browser
    folder: Path

    def take(self, name: str, open_state: Open, *, is_whole: bool = False, **options: Any) -> None:
        """Take NAME-phone-light.png and the three others: of the screen, or of the whole page."""
        for size, view in SIZES.items():
            for scheme in ("light", "dark"):
                with closing(self.browser.new_page(**view, color_scheme=scheme, **options)) as page:
                    page.set_default_timeout(PATIENCE_MS)
                    open_state(page)
                    file = self.folder / f"{name}-{size}-{scheme}.png"
                    page.screenshot(path=file, full_page=is_whole, animations="disabled")
                    print(file)


def take_demo(camera: Camera) -> None:
    with run_demo() as url:
        camera.take("demo-warm", lambda page: open_warm(page, url))
        camera.take("demo-list", lambda page: open_warm(page, url), is_whole=True)
        camera.take("demo-cold", lambda page: open_cold(page, url))
        camera.take("demo-broken", lambda page: open_broken(page, url))
        camera.take("demo-offline", lambda page: open_offline(page, url))
        camera.take("demo-compared", lambda page: open_compared(page, url))
        camera.take("demo-visitor", lambda page: open_bot(page, url.partition("?")[0], "Open the URL"))
        theme = f"#tgWebAppData=x&tgWebAppThemeParams={quote(json.dumps(THEME))}"
        camera.take("demo-telegram", lambda page: open_warm(page, f"{url.partition('?')[0]}{theme}", key=url))
        runbook = f"{url.partition('?')[0]}docs/runbook.md"
        camera.take("service-docs", lambda page: page.goto(runbook))


def open_warm(page: Page, url: str, key: str = "") -> None:
    if key:
        page.goto(key)
    page.goto(url)
    if key:
        page.reload()  # of two addresses that differ in their fragments alone, the second loads nothing
    wait_for_visitor(page)
    expect(page.locator("#people-list lazy-image[status=loaded]").nth(3)).to_be_visible()
    expect(page.locator("lazy-image[status=loading]")).to_have_count(0)


def wait_for_visitor(page: Page) -> None:
    """A person may register ten times a minute; the page tries again until the limit lets it."""
    expect(page.locator("#me")).to_be_visible()


def open_cold(page: Page, url: str) -> None:
    not_ready: dict[str, Any] = {"status": 503, "headers": {"Retry-After": "1"}}
    page.route("**/api/photos/**", lambda route: route.fulfill(**not_ready))
    page.goto(url)
    page.locator("#people-list lazy-image[status=loading]").nth(3).wait_for()
    wait_for_visitor(page)


def open_broken(page: Page, url: str) -> None:
    """Every picture is refused."""
    page.route("**/api/photos/**", lambda route: route.fulfill(status=404))
    page.goto(url)
    wait_for_visitor(page)
    expect(page.locator("#people-list lazy-image[status=error]").nth(3)).to_be_visible()


def open_offline(page: Page, url: str) -> None:
    page.route("**/recent?*", lambda route: route.abort())
    page.goto(url)
    page.get_by_role("alert").wait_for()
    wait_for_visitor(page)


def open_compared(page: Page, url: str) -> None:
    open_warm(page, url)
    for button in page.locator("#compare button").all():
        button.click()
        expect(page.locator("#compare-note")).to_contain_text("4 pictures in")


def take_bot(camera: Camera) -> None:
    """A bot of one's own, well and in each of its troubles."""
    with run_own_bot() as bot:
        camera.take("bot-ready", lambda page: open_form(page, bot))
        camera.take("bot-found", lambda page: look_up(page, bot, SOMEBODY, "This is what"))
        camera.take("bot-none", lambda page: look_up(page, bot, NOBODY, "no photo"))
        camera.take("bot-malformed", lambda page: look_up(page, bot, "Ann", "is a number"))
        camera.take("bot-visitor", lambda page: open_bot(page, bot.page.partition("?")[0], "", ".eyebrow"))
        for name, fault, words in (
            ("bot-away", "connection-reset", "does not answer"),
            ("bot-refused", "unauthorized", "refuses the bot token"),
            ("bot-logged-out", "logged-out", "logged out"),
        ):
            bot.set_fault(fault)
            camera.take(name, lambda page, words=words: open_bot(page, bot.page, words))  # type: ignore[misc]


def open_form(page: Page, bot: OwnBot) -> None:
    open_bot(page, bot.page, "", "#look-up")


def look_up(page: Page, bot: OwnBot, text: str, words: str) -> None:
    open_form(page, bot)
    page.get_by_label("Your Telegram id").fill(text)
    page.keyboard.press("Enter")
    expect(page.locator("#look-up-state")).to_contain_text(words)
    expect(page.locator("lazy-image[status=loading]")).to_have_count(0)


def open_bot(page: Page, url: str, words: str, selector: str = "#bot-title") -> None:
    """Load the page until it shows these words there."""
    found = page.locator(selector).filter(has_text=words)
    for _ in range(PATIENCE_MS // LOOK_EVERY_MS):
        page.goto(url)
        page.locator("#bot:not([hidden])").wait_for()
        if found.count():
            return
        page.wait_for_timeout(LOOK_EVERY_MS)
    raise TimeoutError(f"the page does not show {words!r} in {selector}")


def take_ops(camera: Camera) -> None:
    with ops.serving() as (url, key, has_beat):
        for name, is_well in (("ops-well", True), ("ops-ill", False)):
            has_beat(is_well)
            camera.take(name, lambda page: page.goto(url), extra_http_headers=key)
            camera.take(f"{name}-whole", lambda page: page.goto(url), is_whole=True, extra_http_headers=key)


def take_docs(camera: Camera) -> None:
    with serve_docs() as url:
        camera.take("docs-home", lambda page: page.goto(url, wait_until="networkidle"))
        camera.take("docs-home-whole", lambda page: page.goto(url, wait_until="networkidle"), is_whole=True)


GROUPS = {"demo": take_demo, "bot": take_bot, "ops": take_ops, "docs": take_docs}


def main(folder: Path, groups: list[str]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=PATIENCE_MS)
    chromium = shutil.which("chromium")
    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)) as browser,
    ):
        for group in groups:
            GROUPS[group](Camera(browser, folder))
    return 0


if __name__ == "__main__":
    if not sys.argv[1:] or set(sys.argv[2:]) - set(GROUPS):
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:] or list(GROUPS)))
