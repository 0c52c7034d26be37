"""Start what the screenshots show: the demo, a bot of one's own before a fake Telegram, the built documentation."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
from flask import Flask

from benches.testbed import BOTH, ROOT, process, wait_for
from screenshots.serving import serve

START_SECONDS, CALL_SECONDS = 240.0, 10.0
KEPT = ("PATH", "HOME", "LANG", "TMPDIR")  # of this environment: a setting of it would change what is shown
TOKEN = "123456789:FAKE"  # noqa: S105 - the fake Telegram's own


@dataclass(frozen=True)
class OwnBot:
    """A service whose bot is known to a fake Telegram alone."""

    page: str  # with the page key
    telegram: str

    def set_fault(self, fault: str) -> None:
        """From now on, every call to Telegram fails like this; an empty name ends it."""
        faults = f"{self.telegram}/_fake/faults"
        requests.delete(faults, timeout=CALL_SECONDS).raise_for_status()
        if fault:
            rule = {"method": "*", "fault": fault, "times": "forever"}
            requests.post(faults, json=rule, timeout=CALL_SECONDS).raise_for_status()


@contextmanager
def run_demo() -> Iterator[str]:
    """The demo, in a folder of its own. Yields the URL of its page, with the page key."""
    with _start("runner", r'Avatars are warm at (http://[^\s"]+)["\n]') as page:
        yield page


@contextmanager
def run_own_bot() -> Iterator[OwnBot]:
    """A service with a token."""
    with _start("faketelegram", r"(http://127\.0\.0\.1:\d+)", "--port", "0") as telegram:
        settings = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_URL": telegram, "HOST": "127.0.0.1"}
        with _start("runner", r'Avatars are warm at (http://[^\s"]+)["\n]', **settings) as page:
            yield OwnBot(page, telegram)


@contextmanager
def serve_docs() -> Iterator[str]:
    """Build the documentation as `scripts/docs` does, and serve it. Yields the URL of its home."""
    with TemporaryDirectory() as folder:
        build = [sys.executable, "-m", "sphinx", "-W", "-n", "--keep-going", "-q", "docs", folder]
        subprocess.run(build, cwd=ROOT, check=True)
        with serve(Flask(__name__, static_folder=folder, static_url_path="")) as url:
            yield f"{url}/index.html"


@contextmanager
def _start(program: str, pattern: str, *arguments: str, **settings: str) -> Iterator[str]:
    """Start a folder of scripts/, with no setting but these. Yields what the pattern finds in its output."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    with TemporaryDirectory() as folder:
        log = Path(folder) / "output.log"
        environment = {**kept, "PYTHONUNBUFFERED": "1", "AVATAR_WARMER_FOLDER": folder, **settings}
        with process([sys.executable, str(ROOT / "scripts" / program), *arguments], BOTH, log, environment):
            wait_for(f"{program}'s URL", lambda: re.search(pattern, log.read_text("utf-8")), START_SECONDS)
            found = re.search(pattern, log.read_text("utf-8"))
            assert found  # noqa: S101 - it was there a moment ago
            yield found[1]
