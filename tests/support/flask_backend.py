"""The example Flask backend as its own process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.ports import free_loopback_port
from tests.support.running import ROOT
from tests.support.waiting import wait_until

BACKEND = ROOT / "examples" / "flask-backend"
FLASK = [sys.executable, "-m", "flask", "--app", "app"]


@contextmanager
def run_backend(folder: Path, avatars_url: str, api_key: str, users: dict[int, str], **more: str) -> Iterator[str]:
    """Start the backend for an avatar service at this URL, with these users. Yields its own URL.

    `more`: further variables of its environment.
    """
    said = {"AVATARS_URL": avatars_url, "AVATAR_API_KEY": api_key, "DATABASE_URL": f"sqlite:///{folder}/users.db"}
    said |= more
    environment = os.environ | said | {"http_proxy": "http://127.0.0.1:1"}  # which must not be used
    lines = "".join(f"{telegram_id},{name}\n" for telegram_id, name in users.items())
    subprocess.run([*FLASK, "add-users"], cwd=BACKEND, env=environment, input=lines, text=True, check=True)
    port, log = free_loopback_port(), folder / "backend.log"
    run = [*FLASK, "run", "--port", str(port)]
    with log.open("w") as out, subprocess.Popen(run, cwd=BACKEND, env=environment, stdout=out, stderr=out) as it:
        try:
            wait_until(lambda: "Running on" in log.read_text() or it.poll() is not None)
            assert it.poll() is None, log.read_text()
            yield f"http://127.0.0.1:{port}/"
        finally:
            it.terminate()
