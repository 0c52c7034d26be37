"""The example Mini App, built from its lock file and opened beside the running service, as inside Telegram."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.support.cli_parts import COMMAND
from tests.support.npm import FRAMEWORKS, HTML, MINI_APP, REACT_18, ROOT, build_mini_app
from tests.support.running import Service
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def built() -> Path:
    return build_mini_app()


def sign_in(demo: Service) -> str:
    """Returns init data of one demo user, as Telegram puts it into the launch fragment."""
    command = [str(COMMAND), "init-data", "--user", "7000000001", "--name", "Amara Okafor"]
    done = subprocess.run(command, env=demo.environment, capture_output=True, text=True, check=True)
    return done.stdout.strip().removeprefix("Authorization: tma ")


def launch(page: Page, demo: Service, built: Path, fragment: str = "") -> None:
    """Open the app under the service's own origin, as behind one proxy."""
    for file in built.iterdir():
        page.route(f"{demo.url}/mini-app/{file.name}", lambda route, _, file=file: route.fulfill(path=file))
    page.goto("about:blank")  # from the app itself the fragment would load nothing
    page.goto(f"{demo.url}/mini-app/index.html{fragment}")


def test_the_mini_app_signs_in_and_shows_the_newest_partners_with_pictures(
    page: Page, demo: Service, built: Path
) -> None:
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    fragment = f"#tgWebAppData={quote(sign_in(demo))}&tgWebAppVersion=9.1&tgWebAppPlatform=web"
    wait_until(lambda: shows_list(page, lambda: launch(page, demo, built, fragment)))
    images = page.locator("lazy-image")
    for place in range(20):
        images.nth(place).scroll_into_view_if_needed()
        expect(images.nth(place)).to_have_attribute("status", "loaded")
    loading: list[str] = images.evaluate_all("(all) => all.map((one) => one.loading)")
    assert loading == ["eager"] * 4 + ["lazy"] * 16
    assert page.url == f"{demo.url}/mini-app/index.html", "init data is a secret"
    assert hosts - {""} == {urlsplit(demo.url).netloc}
    wait_until(lambda: shows_list(page, page.reload))


def shows_list(page: Page, load: Callable[[], object]) -> bool:
    """Load the app. Returns False if a busy machine refuses the list, which the app asks for once."""
    load()
    people, problem = page.get_by_role("listitem"), page.get_by_text("could not be loaded")
    expect(people.or_(problem).first).to_be_visible()
    return people.count() == 20


def test_outside_telegram_the_mini_app_says_where_to_open_it(page: Page, demo: Service, built: Path) -> None:
    launch(page, demo, built)
    expect(page.get_by_text("Open this page inside Telegram.")).to_be_visible()


def test_the_mini_app_reports_a_refused_sign_in(page: Page, demo: Service, built: Path) -> None:
    launch(page, demo, built, "#tgWebAppData=user%3D1%26hash%3Dab")
    expect(page.get_by_role("status")).to_contain_text("could not be loaded")


def test_files_built_from_web_static_are_not_committed() -> None:
    kept = subprocess.run(["git", "ls-files", str(MINI_APP)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert [name for name in kept.stdout.split() if "azy" in name or name.endswith(("app.js", "public/app.css"))] == []


def test_the_lock_files_contain_no_url_to_install_from() -> None:
    for folder in (MINI_APP, REACT_18, FRAMEWORKS, HTML):
        lock = json.loads((folder / "package-lock.json").read_text("utf-8"))
        for package in lock["packages"].values():
            package.pop("funding", None)  # pages for people, which npm does not open
        assert "://" not in json.dumps(lock)
