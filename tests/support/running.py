"""The whole service as `scripts/run` starts it: real processes, in their own folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from faketelegram import FakeTelegram
from runner.ports import free_loopback_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS, STOP_SECONDS = 240.0, 180.0  # on a busy machine, too
REQUEST_SECONDS = 60.0

BROWSER_ACCEPT = "image/webp,image/*,*/*;q=0.8"  # without a name for WebP the answer would be a JPEG


@dataclass(frozen=True)
class Service:
    """A running service."""

    page: str  # with the page key
    data_dir: Path
    api_key: str
    environment: dict[str, str]
    telegram: FakeTelegram | None = None

    @property
    def url(self) -> str:
        return self.page.partition("?")[0].rstrip("/")

    @property
    def as_server(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key}"}

    def ask(self, method: str, path: str, **options: object) -> requests.Response:
        """Send a request with the API key."""
        headers = {"Accept": BROWSER_ACCEPT, **self.as_server, **options.pop("headers", {})}  # type: ignore[dict-item]  # options of requests
        timeout = options.pop("timeout", REQUEST_SECONDS)
        return requests.request(method, self.url + path, headers=headers, timeout=timeout, **options)  # type: ignore[arg-type]

    def get(self, path: str, **headers: str) -> requests.Response:
        """Send a request without a key, like a browser."""
        return requests.get(self.url + path, headers={"Accept": BROWSER_ACCEPT, **headers}, timeout=REQUEST_SECONDS)


def await_picture(send: Callable[[], requests.Response]) -> requests.Response:
    """Request a picture that may be cold, again after each 503. Returns the first other answer.

    A busy machine may need longer for it than PHOTO_WAIT. For anything else the first answer counts.
    """
    answers: list[requests.Response] = []

    def is_warm() -> bool:
        answers.append(send())
        if answers[-1].status_code == 503:
            assert answers[-1].headers["Retry-After"]
        return answers[-1].status_code != 503

    wait_until(is_warm)
    return answers[-1]


def hooks(**variables: str) -> dict[str, str]:
    """Returns the environment that activates `tests/support/hooks/sitecustomize.py`."""
    return {"PYTHONPATH": str(ROOT / "tests" / "support" / "hooks"), **variables}


# A service that waits a minute for its Redis and its broker, however busy the machine is: a 503 of it is no timeout.
# Tests of slow servers keep the timeouts of production.
PATIENT = hooks(PATIENCE="servers purges")


@contextmanager
def run_service(folder: Path, root: Path = ROOT, /, **settings: str) -> Iterator[Service]:
    """Run the service with these settings; all its files are in the folder.

    `root` is the tree to start it from, for another release.
    """
    port, flower_port = free_loopback_port(), free_loopback_port()
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    environment = {
        **kept,
        "DATA_DIR": str(folder / "data"),
        "PORT": str(port),
        "FLOWER_PORT": str(flower_port),
        **settings,
    }
    log = folder / "run.log"
    command = [sys.executable, str(root / "scripts" / "runner")]
    with log.open("w") as out, subprocess.Popen(command, cwd=root, env=environment, stdout=out, stderr=out) as runner:
        try:
            yield Service(wait_for_url(runner, log), folder / "data", find_key(folder, settings), environment)
        finally:
            runner.terminate()
            runner.wait(STOP_SECONDS)


def wait_for_url(runner: subprocess.Popen[bytes], log: Path) -> str:
    """Returns the URL that a start prints into its log when everything runs."""

    def find() -> re.Match[str] | None:
        assert runner.poll() is None, log.read_text()
        return re.search(r'Avatars are warm at (http://[^\s"]+)["\n]', log.read_text())

    found: re.Match[str] = wait_until(find, START_SECONDS)
    return found[1]


def find_key(folder: Path, settings: dict[str, str]) -> str:
    """Returns the API key of a start in this folder with these settings."""
    if "API_KEYS" in settings:
        return settings["API_KEYS"].partition(",")[0]
    kept = (folder / "data" / "keys.env").read_text()
    return re.search(r"API_KEYS='?([^'\n]+)", kept)[1]  # type: ignore[index]  # the runner wrote it
