"""Every picture of the documentation is made by a script, and is small."""

from __future__ import annotations

import re

from PIL import Image, ImageSequence

from benches import pages
from benches.record import read_record
from screenshots.film import SLOWNESS
from tests.support.running import ROOT

KINDS = {".png", ".webp", ".jpg", ".svg", ".gif"}
PICTURES = sorted(path for path in (ROOT / "docs").rglob("*") if path.suffix in KINDS)
SCRIPTS = "\n".join(path.read_text("utf-8") for path in (ROOT / "scripts").rglob("*.py"))
MAX_BYTES, MAX_FILM_BYTES = 150_000, 250_000


def test_a_script_names_each_picture_of_the_documentation() -> None:
    """By its whole name, or by its stem where a script writes one picture per subject."""
    assert PICTURES
    names = {path: f"{re.escape(path.name)}|{re.escape(path.stem)}" for path in PICTURES}
    assert [path.name for path, name in names.items() if not re.search(rf'["/]({name})"', SCRIPTS)] == []


def test_each_screenshot_is_small_and_used() -> None:
    screenshots = sorted((ROOT / "docs" / "pictures").iterdir())
    assert screenshots
    most = {"film.webp": MAX_FILM_BYTES}
    assert [path.name for path in screenshots if path.stat().st_size >= most.get(path.name, MAX_BYTES)] == []
    pages = "\n".join(page.read_text("utf-8") for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    assert [path.name for path in screenshots if f"pictures/{path.name}" not in pages] == []


def test_the_film_of_the_readme_is_short_and_begins_with_its_end() -> None:
    """A reader whose browser shows no motion sees the first frame alone."""
    assert f"slowed down {SLOWNESS} times" in (ROOT / "README.md").read_text("utf-8")
    with Image.open(ROOT / "docs" / "pictures" / "film.webp") as film:
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(film)]
    lengths_ms = [frame.info["duration"] for frame in frames]
    assert len(frames) > 10
    assert sum(lengths_ms) <= 8000
    first, last = (frame.resize((44, 30), Image.Resampling.BOX).tobytes() for frame in (frames[0], frames[-1]))
    assert max(abs(before - after) for before, after in zip(first, last, strict=True)) < 16


def test_the_readme_and_the_performance_page_show_the_measured_figures() -> None:
    record = read_record(ROOT / "docs" / "benchmarks" / "results.json")
    for page in (pages.README, pages.PERFORMANCE):
        text = page.read_text("utf-8")
        assert pages.fill(text, [line for line in pages.LINES if line.file == page], record) == text
