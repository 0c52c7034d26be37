"""Wheels of this tree, with the versions that the page names."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from trial.shell import Failed

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = shutil.ignore_patterns(".[!e]*", ".env", "build", "data", "tests", "*.egg-info", "__pycache__")
NAME = re.compile(r"avatar_warmer-([\d.]+)-py3-none-any\.whl")


def build_wheels(page: str, folder: Path) -> list[str]:
    """Build a wheel for each version on the page; returns the versions. Nothing is downloaded for it."""
    versions = sorted(set(NAME.findall(page)))
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place) / "tree"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
        settings = (tree / "setup.cfg").read_text("utf-8")
        for version in versions:
            text = re.sub(r"^version = .*$", f"version = {version}", settings, count=1, flags=re.MULTILINE)
            (tree / "setup.cfg").write_text(text, "utf-8")
            _build(tree, folder)
            shutil.rmtree(tree / "build", ignore_errors=True)
    return versions


def _build(tree: Path, folder: Path) -> None:
    options = ("--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder))
    words = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "wheel", *options, str(tree)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"the wheel could not be built: {done.stderr[-1500:]}")
