"""<lazy-image> as npm installs it from its tarball: in plain HTML, and with Vite in Vue 3 and Svelte 5.

test_lazy_image_react.py shows the same package in React 18 and 19. In test_mini_app.py, an app packs and installs it.
"""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.npm import FRAMEWORKS, PACKAGE, ROOT, add_modules, install, run
from tests.support.page_stub import Answer, PageStub, has_status

TYPES = {".html": "text/html", ".js": "text/javascript"}


@pytest.fixture(scope="module")
def site(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to serve: what Vite makes of the apps, and the plain page with the installed package beside it."""
    folder = tmp_path_factory.mktemp("frameworks") / "apps"
    shutil.copytree(FRAMEWORKS, folder, ignore=shutil.ignore_patterns("node_modules"))
    modules = install(FRAMEWORKS)
    add_modules(folder, modules, package)
    done = run([str(modules / ".bin" / "vite"), "build"], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.copy(FRAMEWORKS / "plain.html", folder / "dist")
    shutil.copytree(package, folder / "dist" / "node_modules" / PACKAGE)
    return folder / "dist"


def open_app(page: Page, stub: PageStub, site: Path, name: str) -> None:
    for path in site.rglob("*"):
        if path.suffix in TYPES:
            answer = Answer(picture=path.read_bytes(), headers={"Content-Type": TYPES[path.suffix]})
            stub.answers[f"/{path.relative_to(site).as_posix()}"] = [answer]
    stub.answers["/ann"] = [Answer()]
    page.goto(f"{stub.url}/{name}.html")


def test_the_tarball_contains_the_element_the_wrapper_their_types_and_the_licence(package: Path) -> None:
    files = sorted(path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file())
    types = ["lazy-image.d.ts", "lazy-image.js", "package.json", "react/index.d.ts", "react/index.js"]
    assert files == ["LICENSE", "README.md", *types]


@pytest.mark.parametrize("name", ["plain", "vue", "svelte"])
def test_an_app_with_the_package_shows_a_picture(page: Page, stub: PageStub, site: Path, name: str) -> None:
    open_app(page, stub, site, name)
    image = page.locator("lazy-image")
    has_status(image, "loaded")
    expect(image.locator(".picture")).to_be_visible()
    assert image.evaluate("(host) => [host.name, host.delayMs]") == ["Ann Lee", 200]


@pytest.mark.parametrize("name", ["vue", "svelte"])
def test_an_app_hears_the_events_of_the_element(page: Page, stub: PageStub, site: Path, name: str) -> None:
    open_app(page, stub, site, name)
    expect(page.locator("output")).to_have_text("loaded")


def test_the_guide_and_the_readme_name_the_package_as_it_is() -> None:
    for path in (ROOT / "docs" / "lazy-image.md", ROOT / "web" / "static" / "README.md"):
        text = path.read_text("utf-8")
        assert f"import '{PACKAGE}';" in text
        assert f"import {{ LazyImage }} from '{PACKAGE}/react';" in text
