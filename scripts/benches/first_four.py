"""The time until the last of the first four pictures is loaded, in a real browser, from the start of the navigation.

`cold`: no picture is stored; the list that the page requests warms the first four. `warm`: they are stored, and the
browser is new. `again`: the same browser opens the page a second time. The rival serves the same page in the original's
first design, which fetches each picture when it is requested. Telegram's calls take 50 ms, a new connection to it
100 ms more, and its rate has no limit.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

import requests
from init_data_py import sign
from init_data_py.models import UnsignedInitData, User
from playwright.sync_api import Browser, expect, sync_playwright

from benches import peers_env
from benches.first_four_plot import draw
from benches.machine import describe_machine
from benches.phone import PARTNERS, SHOWN, App, app_of_original, app_of_service
from benches.results import Measurement, Recorder
from benches.rivals import BEFORE, PEERS, Rival
from benches.service import SETTINGS, Service, is_up, start_service
from benches.testbed import BOTH, ROOT, Testbed, open_testbed, wait_for
from benches.upstream import Upstream, start_upstream
from runner.ports import free_loopback_port
from runner.terminal import StartFailed, complain, say

RESULTS, PICTURE = (ROOT / "docs" / "benchmarks" / name for name in ("first-four.json", "first-four.png"))
ROUNDS, WARM_UP = 9, 1
COLD, WARM, AGAIN = "cold", "warm", "warm, and the browser's own cache"
FIGURE = "ms"
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
        measurements = [asdict(one) for one in measure(say)]
        machine = describe_machine() | {"date": time.strftime("%Y-%m-%d")}
        record = {"machine": machine, "rounds": ROUNDS, "measurements": measurements}
        RESULTS.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    draw(json.loads(RESULTS.read_text("utf-8")), PICTURE)
    return 0


def measure(say: Say) -> list[Measurement]:
    """Alternate the rounds, each in a new browser profile; raises StartFailed if a program is missing."""
    if not (chromium := shutil.which("chromium")):
        raise StartFailed("no Chromium on the PATH")
    recorder = Recorder()
    with tempfile.TemporaryDirectory(prefix="aw-") as folder, open_testbed(Path(folder) / "s", **SETTINGS) as testbed:
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
                    if number >= WARM_UP:
                        note(recorder, app, times)
    return recorder.list_measurements()


def note(recorder: Recorder, app: App, times: Sequence[float]) -> None:
    for state, took in zip((COLD, WARM, AGAIN), times, strict=True):
        recorder.note(state, app.name, {FIGURE: took})


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
    requests.put(url, json={"name": "Ann"}, headers=service.headers, timeout=10).raise_for_status()
    token = service.testbed.environment["TELEGRAM_BOT_TOKEN"]
    signed = sign(UnsignedInitData(user=User(id=viewer, first_name="Ann")), token)
    return f"#tgWebAppData={quote(signed)}"


def start_page_of_original(testbed: Testbed, service: Service) -> Rival:
    """Serve this service's page with the original's first design."""
    if not (uvicorn := peers_env.find("uvicorn")):
        raise StartFailed("uvicorn is not installed in the peers' environment")
    page = testbed.folder / "index.html"
    page.write_text(requests.get(f"http://127.0.0.1:{service.port}/", timeout=10).text)
    port = free_loopback_port()
    command = [str(uvicorn), "--app-dir", str(PEERS), "--factory", "original_page:before", "--no-access-log"]
    environment = {"PAGE": str(page), "STATIC": str(ROOT / "web" / "static")}
    process = testbed.start([*command, "--host", "127.0.0.1", "--port", str(port)], BOTH, **environment)
    wait_for(BEFORE, lambda: is_up(port, "/recent"))
    return Rival(BEFORE, port, process, lambda file_id: f"/photo/{file_id}")
