"""Take the moving picture of README.md from a running demo: its first four pictures cold, then warm, slowed down.

    .venv/bin/python scripts/screenshots/film.py 'http://127.0.0.1:8000/?key=…'

Each frame is what Chromium showed, at its time after the start of the page's own clock. What comes before, when the
page empties the service or waits for it, is left out. The first frame is the end, for readers who see no motion.
Wants what pages.py wants.
"""

from __future__ import annotations

import base64
import shutil
import sys
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from screenshots.pages import ARGUMENTS, DOCS

FILM = DOCS / "pictures" / "film.webp"
WAYS = ("cold", "warm")
ROUNDS = 7  # the film shows the one whose figures have the median sum
WIDTH = 880  # pixels, about as wide as a README is shown
SLOWNESS = 4  # README.md names it
FADE_MS = 260  # of the page's time, until the last picture has faded in
END_MS = 2000  # for which the film rests
COLOURS = 240  # of the film: fewer than 256, since WebP takes one for what stays as it was in the frame before
FREQUENT = 24  # of them, as they are: paper, cards, ink and bars
NEAR = 8  # in each channel of 256
NOTE_TIMES = """(way) => {
  window.drawn = []; // the milliseconds that the page shows, each with its instant in ms
  const total = document.querySelector(`[data-way=${way}] .total span`);
  new MutationObserver(() => {
    const ms = Number.parseInt(total.textContent);
    if (ms >= 0) window.drawn.push([performance.timeOrigin + performance.now(), ms]);
  }).observe(total, { childList: true });
}"""


@dataclass(frozen=True)
class Frame:
    """What the page showed from this instant on."""

    at_ms: float
    png: bytes


@dataclass(frozen=True)
class Run:
    """When the page started its clock, and when its last picture was decoded."""

    started_ms: float
    ended_ms: float


def main(url: str) -> int:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = open_demo(browser, url)
        frames = record(page)
        rounds = [load_each_way(page) for _ in range(ROUNDS)]
        browser.close()
    frames.sort(key=lambda frame: frame.at_ms)  # Chromium compresses several at once
    runs = sorted(rounds, key=lambda runs: sum(run.ended_ms - run.started_ms for run in runs))[ROUNDS // 2]
    end = [frame for frame in frames if frame.at_ms < runs[-1].ended_ms + 2 * FADE_MS][-1]
    write([(end, END_MS), *(shot for run in runs for shot in cut(frames, run))])
    return 0


def open_demo(browser: Browser, url: str) -> Page:
    """The page, as high as its control and the four pictures."""
    page = browser.new_page(viewport={"width": WIDTH, "height": 800})
    page.goto(url)
    wait_for_pictures(page)
    box = page.locator("#people-list li").nth(3).bounding_box()
    if not box:
        raise ValueError("the demo shows fewer than four people")
    page.set_viewport_size({"width": WIDTH, "height": round(box["y"] + box["height"]) + 12})
    return page


def wait_for_pictures(page: Page) -> None:
    """Wait until all that are on the screen are loaded."""
    expect(page.locator("#people-list lazy-image[status=loaded]").nth(3)).to_be_visible()
    expect(page.locator("lazy-image[status=loading]")).to_have_count(0)


def record(page: Page) -> list[Frame]:
    """Returns the list to which each new frame is added."""
    frames: list[Frame] = []
    client = page.context.new_cdp_session(page)

    def add(event: dict[str, Any]) -> None:
        frames.append(Frame(1000 * event["metadata"]["timestamp"], base64.b64decode(event["data"])))
        client.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})

    client.on("Page.screencastFrame", add)
    client.send("Page.startScreencast", {"format": "png"})
    return frames


def load_each_way(page: Page) -> list[Run]:
    """A round, without figures of an earlier one."""
    page.reload()
    expect(page.locator("#me lazy-image[status=loaded]")).to_be_visible()
    wait_for_pictures(page)
    page.wait_for_timeout(2 * FADE_MS)
    return [load(page, way) for way in WAYS]


def load(page: Page, way: str) -> Run:
    """Press this button, by the keyboard: then its focus shows which it is."""
    page.evaluate(NOTE_TIMES, way)
    page.locator(f"#compare button[value={way}]").press("Enter")
    expect(page.locator("#compare-note")).to_contain_text("4 pictures in")
    page.wait_for_timeout(2 * FADE_MS)
    drawn: list[tuple[float, float]] = page.evaluate("window.drawn")
    started_ms = drawn[0][0] - drawn[0][1]
    return Run(started_ms, started_ms + drawn[-1][1])


def cut(frames: list[Frame], run: Run) -> list[tuple[Frame, float]]:
    """Returns the frames of the run, each with the milliseconds for which the film shows it."""
    end_ms = run.ended_ms + FADE_MS
    before = [frame for frame in frames if frame.at_ms <= run.started_ms][-1:]
    during = [frame for frame in frames if run.started_ms < frame.at_ms < end_ms]
    instants = [run.started_ms, *(frame.at_ms for frame in during), end_ms]
    lengths = [SLOWNESS * (later - earlier) for earlier, later in pairwise(instants)]
    return list(zip([*before, *during], lengths, strict=True))


def write(shots: list[tuple[Frame, float]]) -> None:
    """Write the film, which repeats without end. Without loss: a lossy one leaves traces of frames in later ones."""
    images = [Image.open(BytesIO(frame.png)).convert("RGB") for frame, _ in shots]
    palette = choose_palette(images[:: len(images) // 6])
    images = [image.quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB") for image in images]
    lengths = [round(ms) for _, ms in shots]
    FILM.parent.mkdir(exist_ok=True)
    images[0].save(
        FILM, save_all=True, append_images=images[1:], duration=lengths, loop=0, lossless=True, quality=90, method=6
    )


def choose_palette(images: list[Image.Image]) -> Image.Image:
    """The colours of all frames: the most frequent ones as they are, and a choice of the others."""
    width, height = images[0].size
    strip = Image.new("RGB", (width, height * len(images)))
    for place, image in enumerate(images):
        strip.paste(image, (0, place * height))
    counts: Any = strip.getcolors(strip.width * strip.height)
    all_once = Image.frombytes("RGB", (len(counts), 1), bytes(part for _, colour in counts for part in colour))
    parts = all_once.quantize(COLOURS - FREQUENT).getpalette() or []
    chosen: list[tuple[int, ...]] = []
    for colour in [colour for _, colour in sorted(counts, reverse=True)[:FREQUENT]]:
        chosen += [] if is_near(colour, chosen) else [colour]
    others = [
        colour for colour in zip(parts[::3], parts[1::3], parts[2::3], strict=True) if not is_near(colour, chosen)
    ]
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for colour in [*chosen, *others] for part in colour])
    return palette


def is_near(colour: tuple[int, ...], others: list[tuple[int, ...]]) -> bool:
    """Returns True if Pillow, which rounds colours, could take one of the others for it."""
    return any(all(abs(one - two) < NEAR for one, two in zip(colour, other, strict=True)) for other in others)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
