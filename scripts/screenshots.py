"""Take the pictures of `docs/` from a running demo.

    .venv/bin/python scripts/screenshots.py http://127.0.0.1:8000/

Wants a Chromium on the PATH and the packages of the tests.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

DOCS = Path(__file__).resolve().parent.parent / "docs"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def main(url: str) -> int:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1000, "height": 720})
        page.goto(url)
        expect(page.locator("lazy-image[status=loading]")).to_have_count(0)
        expect(page.locator("lazy-image[status=loaded]").first).to_be_visible()
        page.screenshot(path=DOCS / "page.png", animations="disabled")
        browser.close()
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
