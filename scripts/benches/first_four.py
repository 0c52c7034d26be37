"""The time until the last of the first four pictures is loaded, in a real browser, from the start of the navigation.

`cold`: no picture is stored; the list that the page requests warms the first four. `warm`: they are stored, and the
browser is new. `again`: the same browser opens the page a second time. The rival serves the same page in the original's
first design, which fetches each picture when it is requested. Telegram's calls take 50 ms, a new connection to it
100 ms more, and its rate has no limit.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any
from urllib.parse import quote

import requests
from init_data_py import sign
from init_data_py.models import UnsignedInitData, User
from playwright.sync_api import Browser, expect, sync_playwright

from benches import peers_env, plot, report
from benches.phone import PARTNERS, SHOWN, App, app_of_original, app_of_service
from benches.results import Measurement, Recorder
from benches.rivals import BEFORE, Rival, start_original
from benches.service import SETTINGS, Service, start_service
from benches.testbed import ROOT, Testbed, open_testbed
from benches.upstream import Upstream, start_upstream
from runner.terminal import StartFailed, complain, say

RESULTS, PICTURE = (ROOT / "docs" / "benchmarks" / name for name in ("first-four.json", "first-four.png"))
ROUNDS, WARM_UP = 9, 1
STATES = ("cold", "warm", "warm, and the browser's own cache")
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


def main(arguments: Sequence[str]) -> int:
    """Measure, and draw docs/benchmarks/first-four.png; with `--draw-only`, draw the last measurement.

    Needs a Chromium on the PATH. The first run installs the original's packages into .venv.bench.
    """
    if arguments not in ([], ["--draw-only"]):
        complain("first-four takes no argument but --draw-only")
        return 2
    if not arguments:
        for problem in peers_env.prepare(say, ["original"]):
            complain(problem)
        report.write_measurements(RESULTS, ROUNDS, measure(say))
    draw(json.loads(RESULTS.read_text("utf-8")))
    return 0


def draw(results: dict[str, Any]) -> None:
    """Write the picture, with one scale for all states."""
    panels = {state: [one for one in results["measurements"] if one["work"] == state] for state in STATES}
    facts = results["machine"]
    note = "ms from the start of the navigation until the last of the first four pictures is loaded, in Chromium.\n"
    note += f"Median of {results['rounds']}; Telegram takes 50 ms a call, 100 ms a connection. "
    plot.draw_bars(panels, f"{note}{facts['processor']}, {facts['date']}", PICTURE, sharex=True)


def measure(say: Say) -> list[Measurement]:
    """Alternate the rounds, each in a new browser profile; raises StartFailed if a program is missing."""
    if not (chromium := shutil.which("chromium")):
        raise StartFailed("no Chromium on the PATH")
    recorder = Recorder()
    with open_testbed(**SETTINGS) as testbed:
        redis = testbed.start_redis()
        upstream = start_upstream(testbed, 2 * PARTNERS * (ROUNDS + WARM_UP + 1))
        service = start_service(testbed, redis)
        links = [register_viewer(service, viewer) for viewer in VIEWERS]
        rival = start_page_of_original(testbed, service)
        apps = [
            app_of_service(service, upstream.take(PARTNERS)),
            app_of_original(rival, redis, upstream.take(PARTNERS)),
        ]
        with (
            sync_playwright() as playwright,
            closing(playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)) as browser,
        ):
            for number in range(WARM_UP + ROUNDS):
                say(f"round {number} of {ROUNDS}" if number else "the warm-up round")
                for app in apps if number % 2 else reversed(apps):
                    times = open_thrice(browser, app, upstream, links[number % len(links)])
                    for state, took in zip(STATES, times, strict=True) if number >= WARM_UP else ():
                        recorder.note(state, app.name, {"ms": took})
    return recorder.list_measurements()


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


def start_page_of_original(testbed: Testbed, service: Service) -> Rival:
    """Serve this service's page with the original's first design."""
    page = testbed.folder / "index.html"
    text = requests.get(f"http://127.0.0.1:{service.port}/", timeout=10).text
    page.write_text(re.sub(r"static/\w+/", "static/", text))  # the rival serves the files under their plain names
    static = str(ROOT / "web" / "static")
    if rival := start_original(testbed, BEFORE, "original_page:before", PAGE=str(page), STATIC=static):
        return rival
    raise StartFailed("uvicorn is not installed in the peers' environment")
