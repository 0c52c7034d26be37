"""Fixtures of the browser tests: a real Chromium, a stub of the service, and an empty page for elements."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.npm import install_package
from tests.support.page_stub import PATIENCE_MS, PageStub, Silent, serving
from tests.support.programs import find_program
from tests.support.waiting import wait_until

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync"]
COUNT_TIMERS = """
  window.timers = new Set();
  window.waits = []; // ms, every requested delay
  const { setTimeout: set, clearTimeout: clear } = window;
  window.setTimeout = (call, ms) => {
    const id = set(() => { window.timers.delete(id); call(); }, ms);
    window.timers.add(id);
    window.waits.push(ms);
    return id;
  };
  window.clearTimeout = (id) => { window.timers.delete(id); clear(id); };
"""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Package scope: while Playwright's event loop is open, no other test in this process can run one."""
    expect.set_options(timeout=PATIENCE_MS)
    path = find_program("chromium", "google-chrome")
    with sync_playwright() as playwright, closing(playwright.chromium.launch(executable_path=path, args=QUIET)) as one:
        yield one


@pytest.fixture(scope="package")
def server() -> Iterator[PageStub]:
    with serving() as stub:
        yield stub


@pytest.fixture(autouse=True)
def _wait_for_connections_to_close() -> Iterator[None]:
    """Chromium opens spare connections and closes them shortly after their page."""
    yield
    wait_until(lambda: not Silent.handling)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of <lazy-image> as npm installs it from its tarball."""
    return install_package(tmp_path_factory.mktemp("package"))


@pytest.fixture
def stub(server: PageStub) -> Iterator[PageStub]:
    server.reset()
    yield server
    server.reset()


@pytest.fixture
def blank(browser: Browser, stub: PageStub) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 600, "height": 600})
    page.set_default_timeout(PATIENCE_MS)
    page.add_init_script(COUNT_TIMERS)
    page.goto(f"{stub.url}/blank")
    yield page
    page.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page whose test fails if the console shows an error or warning, HTTP errors that the test scripts aside."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    said: list[str] = []
    page.on("console", lambda line: said.append(line.text) if line.type in ("error", "warning") else None)
    page.on("pageerror", lambda problem: said.append(str(problem)))
    yield page
    page.close()
    assert [line for line in said if not line.startswith("Failed to load resource")] == []
