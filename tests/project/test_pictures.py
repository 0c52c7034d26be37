"""Every picture of the documentation is made by a script, and is small."""

from __future__ import annotations

import json
import re

from tests.support.running import ROOT

KINDS = {".png", ".webp", ".jpg", ".svg", ".gif"}
PICTURES = sorted(path for path in (ROOT / "docs").rglob("*") if path.suffix in KINDS)
SCRIPTS = "\n".join(path.read_text("utf-8") for path in (ROOT / "scripts").rglob("*.py"))
MAX_BYTES = 150_000


def test_a_script_names_each_picture_of_the_documentation() -> None:
    """By its whole name, or by its stem where a script writes one picture per subject."""
    assert PICTURES
    names = {path: f"{re.escape(path.name)}|{re.escape(path.stem)}" for path in PICTURES}
    assert [path.name for path, name in names.items() if not re.search(rf'["/]({name})"', SCRIPTS)] == []


def test_each_screenshot_is_small_and_used() -> None:
    screenshots = sorted((ROOT / "docs" / "pictures").iterdir())
    assert screenshots
    assert [path.name for path in screenshots if path.stat().st_size >= MAX_BYTES] == []
    pages = "\n".join(page.read_text("utf-8") for page in (ROOT / "docs").glob("*.md"))
    assert [path.name for path in screenshots if f"pictures/{path.name}" not in pages] == []


def test_the_performance_page_shows_the_measured_browser_times() -> None:
    page = (ROOT / "docs" / "performance.md").read_text("utf-8")
    told = re.findall(r"^\| (cold|warm[^|]*) \| ([\d,]+) ms \| ([\d,]+) ms \|$", page, re.MULTILINE)
    ours, original = (list_first_four(who) for who in ("this service", "the original, before"))
    assert told == [(work, ours[work], original[work]) for work in ours]


def test_the_readme_shows_the_measured_figures() -> None:
    parts = json.loads((ROOT / "docs/benchmarks/results.json").read_text("utf-8"))["parts"]
    found = {(one["work"], one["who"], one["figure"]): one["value"] for part in parts for one in part["measurements"]}
    told = re.findall(r"[\d,]+(?= ms| with gunicorn| with granian)", (ROOT / "README.md").read_text("utf-8"))
    hits = [found["hit", f"this service, {server}", "requests/s"] for server in ("gunicorn", "granian")]
    misses = [found["miss, one client", who, "p50 ms"] for who in ("this service", "Telegram's two calls")]
    first_four = [list_first_four(who)["cold"] for who in ("this service", "the original, before")]
    assert told == [*first_four, *(f"{value:,.0f}" for value in [*hits, *misses])]


def list_first_four(who: str) -> dict[str, str]:
    """Returns the milliseconds until the first four pictures are on screen, by work, formatted as on a page."""
    results = json.loads((ROOT / "docs/benchmarks/first-four.json").read_text("utf-8"))
    return {one["work"]: f"{one['value']:,.0f}" for one in results["measurements"] if one["who"] == who}
