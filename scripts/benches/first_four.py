"""The time until the last of the first four pictures is loaded, in a real browser, from the start of the navigation.

`cold`: no picture is stored; the list that the page requests warms the first four. `warm`: they are stored, and the
browser is new. `again`: the same browser opens the page a second time. The rivals serve the same page with the
original's designs: the first one fetches each picture when it is requested. Telegram's calls take 50 ms, a new
connection to it 100 ms more, and its rate has no limit.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from contextlib import closing
from urllib.parse import quote

import requests
from init_data_py import sign
from init_data_py.models import UnsignedInitData, User
from playwright.sync_api import Browser, expect, sync_playwright

from benches import page_weight
from benches.extent import choose
from benches.phone import PARTNERS, SHOWN, App, app_of_original, app_of_service
from benches.results import Part, Recorder, Row, make_row
from benches.rivals import AFTER, BEFORE, Rival, start_original
from benches.service import NAME, SETTINGS, Service, start_service
from benches.testbed import ROOT, Testbed, open_testbed
from benches.upstream import Upstream, start_upstream
from runner.terminal import StartFailed

ROUNDS, WARM_UP = choose(9, 1), choose(1, 0)
STATES = ("cold", "warm", "warm, and the browser's own cache")
# The state, the rival, and the largest ratio of the times.
TARGETS = (
    ("cold", BEFORE, 0.5),
    ("cold", AFTER, 0.5),
    *((state, AFTER, 1.0) for state in STATES[1:]),
)
VIEWERS = range(9001, 9010)  # they open the page in turn: a person may register ten times per minute
VIEWPORT = {"width": 390, "height": 844}  # a phone
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
NOTE_LOADS = """
  document.addEventListener('load', (event) => { event.target.loadedAt ??= performance.now(); }, true);
"""
LAST_OF_FOUR = f"""() => {{
  const images = [...document.querySelectorAll('#people-list lazy-image')].slice(0, {SHOWN});
  const times = images.map((image) => image.loadedAt);
  return images.length === {SHOWN} && times.every(Boolean) ? Math.max(...times) : 0;
}}"""
Say = Callable[[str], None]


def run(say: Say) -> Part:
    """Alternate the rounds, each in a new browser profile; then weigh a first visit. Raises StartFailed."""
    if not (chromium := shutil.which("chromium")):
        raise StartFailed("no Chromium on the PATH")
    part, recorder = Part("first-four"), Recorder()
    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)) as browser,
    ):
        with open_testbed(**SETTINGS) as testbed:
            measure(testbed, browser, recorder, say)
        part.rows = [*list_rows(recorder), *page_weight.measure(browser, recorder, say)]
    part.skipped = [f"{name}: not installed" for name in (AFTER, BEFORE) if not recorder.has(STATES[0], name)]
    part.measurements = recorder.list_measurements()
    return part


def measure(testbed: Testbed, browser: Browser, recorder: Recorder, say: Say) -> None:
    """This service and both of the original's designs, in turn."""
    redis = testbed.start_redis()
    upstream = start_upstream(testbed, 3 * PARTNERS * (ROUNDS + WARM_UP + 1))
    service = start_service(testbed, redis)
    links = [register_viewer(service, viewer) for viewer in VIEWERS]
    apps = [app_of_service(service, upstream.take(PARTNERS))]
    apps += [app_of_original(rival, redis, upstream.take(PARTNERS)) for rival in start_pages(testbed, service)]
    for number in range(WARM_UP + ROUNDS):
        say(f"round {number} of {ROUNDS}" if number or not WARM_UP else "the warm-up round")
        for app in apps if number % 2 else reversed(apps):
            times = open_thrice(browser, app, upstream, links[number % len(links)])
            for state, took in zip(STATES, times, strict=True) if number >= WARM_UP else ():
                recorder.note(state, app.name, {"ms": took})


def list_rows(recorder: Recorder) -> list[Row]:
    """The targets; a missing peer has none."""
    return [
        make_row(
            f"first four pictures, {state}",
            against,
            recorder.list_ratios("ms", (state, NAME), (state, against)),
            target,
            is_floor=False,
        )
        for state, against, target in TARGETS
        if recorder.has(state, against)
    ]


def open_thrice(browser: Browser, app: App, upstream: Upstream, link: str) -> list[float]:
    """Milliseconds with cold pictures, with warm ones in a new browser, and in the same browser again."""
    app.show(upstream.take(PARTNERS))
    return open_page(browser, app, link, times=1) + open_page(browser, app, link, times=2)


def open_page(browser: Browser, app: App, link: str, times: int) -> list[float]:
    """Open the page this many times in a new profile; milliseconds until the last of the first four is loaded."""
    took = []
    with closing(browser.new_context(viewport=VIEWPORT)) as context:  # type: ignore[arg-type]  # a TypedDict
        for _ in range(times):
            with closing(context.new_page()) as page:
                page.add_init_script(NOTE_LOADS)
                page.goto(f"http://127.0.0.1:{app.port}/{link}")
                took.append(float(page.wait_for_function(LAST_OF_FOUR).json_value()))
                expect(page.locator("lazy-image[status=loading]")).to_have_count(0)
    return took


def register_viewer(service: Service, viewer: int) -> str:
    """Register a viewer, before the listed partners. Returns the URL fragment that signs in."""
    url = f"http://127.0.0.1:{service.port}/api/partner/{viewer}"
    requests.put(url, json={"name": "Ann"}, headers=service.testbed.headers, timeout=10).raise_for_status()
    token = service.testbed.environment["TELEGRAM_BOT_TOKEN"]
    signed = sign(UnsignedInitData(user=User(id=viewer, first_name="Ann")), token)
    return f"#tgWebAppData={quote(signed)}"


def start_pages(testbed: Testbed, service: Service) -> list[Rival]:
    """Serve this service's page with both of the original's designs; none if uvicorn is missing."""
    page = testbed.folder / "index.html"
    text = requests.get(f"http://127.0.0.1:{service.port}/", timeout=10).text
    page.write_text(re.sub(r"static/\w+/", "static/", text))  # the rivals serve the files under their plain names
    static = str(ROOT / "web" / "static")
    found = [
        start_original(testbed, name, f"original_page:{design}", PAGE=str(page), STATIC=static)
        for name, design in ((AFTER, "after"), (BEFORE, "before"))
    ]
    return [rival for rival in found if rival]
