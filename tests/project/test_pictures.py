"""Every picture of the documentation is made by a script, and is small."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KINDS = {".png", ".webp", ".jpg", ".svg", ".gif"}
PICTURES = sorted(path for path in (ROOT / "docs").rglob("*") if path.suffix in KINDS)
SCRIPTS = "\n".join(path.read_text("utf-8") for path in (ROOT / "scripts").rglob("*.py"))
MAX_BYTES = 150_000


def test_each_picture_of_the_documentation_is_named_by_a_script() -> None:
    """By its whole name, or by its stem where a script writes one for each of its subjects."""
    assert PICTURES
    names = {path: f"{re.escape(path.name)}|{re.escape(path.stem)}" for path in PICTURES}
    assert [path.name for path, name in names.items() if not re.search(rf'["/]({name})"', SCRIPTS)] == []


def test_each_screenshot_is_small_and_shown() -> None:
    screenshots = sorted((ROOT / "docs" / "pictures").iterdir())
    assert screenshots
    assert [path.name for path in screenshots if path.stat().st_size >= MAX_BYTES] == []
    pages = "\n".join(page.read_text("utf-8") for page in (ROOT / "docs").glob("*.md"))
    assert [path.name for path in screenshots if f"pictures/{path.name}" not in pages] == []


def test_the_readme_tells_what_the_browser_measured() -> None:
    results = json.loads((ROOT / "docs/benchmarks/first-four.json").read_text("utf-8"))
    readme = (ROOT / "README.md").read_text("utf-8")
    sentence = re.search(r"^In a browser .*$", readme, re.MULTILINE)
    assert sentence
    told = re.findall(r"([\d,]+) ms", sentence[0])
    assert told == [f"{one['value']:,.0f}" for one in in_the_order_of_the_sentence(results["measurements"])]


def in_the_order_of_the_sentence(measurements: list[dict[str, object]]) -> list[dict[str, object]]:
    """Cold, warm and again for this service, then the same for the original."""
    ours = [one for one in measurements if one["who"] == "this service"]
    return [*ours, *(one for one in measurements if one["who"] != "this service")]
