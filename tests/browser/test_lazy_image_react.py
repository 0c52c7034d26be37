"""<LazyImage> with React 18 and 19: rendered on a server, hydrated in a browser, changed and removed."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.npm import MINI_APP, REACT_18, STATIC, add_modules, bundle, check_types, install, run
from tests.support.page_stub import NO_PHOTO, Answer, PageStub, until

HTML = (
    '<!doctype html><html lang="en"><title>React</title><link rel="icon" href="data:,">{head}<div id="app">{app}</div>'
)
ELEMENT = '<script type="module" src="/static/lazy-image.js"></script>'


@dataclass
class Built:
    folder: Path
    markup: str
    script: str


@pytest.fixture(scope="module", params=["react 18", "react 19"])
def built(request: pytest.FixtureRequest, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """An app with that React version and the installed package. Node runs the package as it is, without a bundler."""
    folder = tmp_path_factory.mktemp("react")
    for file in REACT_18.glob("*.tsx"):
        shutil.copy(file, folder)
    add_modules(folder, install(REACT_18 if request.param == "react 18" else MINI_APP), package)
    server_options = ("--platform=node", "--format=esm", "--packages=external")
    (folder / "server.mjs").write_text(bundle(folder, "server.tsx", *server_options))
    server = run(["node", "server.mjs"], folder)
    assert server.stderr == ""
    return Built(folder, server.stdout.strip(), bundle(folder, "client.tsx"))


def open_app(page: Page, stub: PageStub, built: Built, head: str = "", app: str = "") -> Locator:
    html = HTML.format(head=head, app=app)
    stub.answers["/app"] = [Answer(picture=html.encode(), headers={"Content-Type": "text/html"})]
    stub.answers["/client.js"] = [Answer(picture=built.script.encode(), headers={"Content-Type": "text/javascript"})]
    page.goto(f"{stub.url}/app")
    return page.locator("lazy-image")


def start(page: Page, stub: PageStub) -> None:
    page.add_script_tag(url=f"{stub.url}/client.js")


def has_events(page: Page, *words: str) -> None:
    until(lambda: page.evaluate("told") == list(words), f"{words}, but {page.evaluate('told')}")


def test_the_types_fit_that_react_version_and_reject_wrong_properties(built: Built) -> None:
    (built.folder / "wrong.tsx").write_text(
        "import { LazyImage } from 'avatar-warmer-lazy-image/react';\n"
        "export const one = <LazyImage delayMs='soon' />;\n"
        "export const two = <lazy-image placeholder={3} />;\n"
    )
    said = check_types(built.folder, "--skipLibCheck", "client.tsx", "server.tsx", "wrong.tsx")
    places = [line.partition(",")[0] for line in said.splitlines() if not line.startswith(" ")]
    assert places == ["wrong.tsx(2", "wrong.tsx(3"], said


def test_the_wrapper_passes_a_strict_type_check(built: Built) -> None:
    for name in ("lazy-image.d.ts", "react/index.js", "react/index.d.ts"):
        (built.folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(STATIC / name, built.folder / name)
    assert check_types(built.folder, "react/index.js", "react/index.d.ts") == ""


def test_a_server_renders_the_element_with_its_attributes(built: Built) -> None:
    assert built.markup.startswith("<lazy-image ")
    for attribute in ('src="/ann"', 'srcset="/ann 160w"', 'name="Ann Lee"', 'delay-ms="200"', 'class="face"'):
        assert attribute in built.markup


def test_the_component_reports_what_happens_to_its_picture(page: Page, stub: PageStub, built: Built) -> None:
    stub.answers["/ann"] = [Answer()]
    image = open_app(page, stub, built)
    start(page, stub)
    has_events(page, "loading", "loaded", "load")
    assert page.evaluate("[ref.current.status, ref.current.delayMs, ref.current.className]") == ["loaded", 200, "face"]
    expect(image.locator(".picture")).to_be_visible()


def test_a_picture_loaded_before_hydration_is_reported_and_not_loaded_twice(
    page: Page, stub: PageStub, built: Built
) -> None:
    stub.answers["/ann"] = [Answer()]
    image = open_app(page, stub, built, ELEMENT, built.markup)
    expect(image).to_have_attribute("status", "loaded")
    start(page, stub)
    has_events(page, "loaded", "load")
    assert stub.calls.count("GET /ann") == 1


def test_new_properties_reach_the_element_and_removed_ones_are_cleared(
    page: Page, stub: PageStub, built: Built
) -> None:
    stub.answers |= {"/ann": [Answer()], "/bo": [NO_PHOTO]}
    image = open_app(page, stub, built)
    start(page, stub)
    has_events(page, "loading", "loaded", "load")
    page.evaluate("show({ name: 'Bo', src: '/bo', srcSet: null, className: 'other', style: { opacity: 0.5 } })")
    has_events(page, "loading", "loaded", "load", "idle", "loading", "error", "error")
    expect(page.get_by_role("img", name="Bo", exact=True)).to_have_css("opacity", "0.5")
    assert image.evaluate("(host) => [host.className, host.hasAttribute('srcset')]") == ["other", False]
    page.evaluate("show({ src: null, srcSet: undefined })")
    expect(image.locator(".initials")).to_have_text("AL")
    expect(image).to_have_attribute("status", "idle")


def test_a_removed_component_reports_no_more_events(page: Page, stub: PageStub, built: Built) -> None:
    stub.answers["/ann"] = [Answer(gate=stub.gate())]
    open_app(page, stub, built)
    start(page, stub)
    has_events(page, "loading")
    page.evaluate("window.gone = ref.current; leave()")
    until(lambda: page.evaluate("!gone.isConnected && ref.current === null"), "the element is gone")
    page.evaluate("gone.dispatchEvent(new Event('load'))")
    assert "load" not in page.evaluate("told")
