"""A start of scripts/runner as a real process, with a Procfile of stubs in its own folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from runner.ports import free_loopback_port
from tests.conftest import wait_until
from warmer.settings import Settings

SERVE = Path(__file__).resolve().parents[2] / "scripts" / "runner"
PATIENCE = 240  # seconds for a start or a stop
GIVEN = {name.upper() for name in Settings.model_fields} | {"DEMO"}

# Answers everything with 200, and records its registrations and its environment.
WEB = """\
import http.server, json, os, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.command == "PUT":
            with open("registered", "a") as file:
                print(self.path, self.headers["Authorization"], file=file)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"checks": {"worker": "ok", "bot": "ok"}}')
    do_PUT = do_GET
pathlib.Path("environment.json").write_text(json.dumps(dict(os.environ)))
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
PROCFILE = """\
web: python web.py
worker: env LANE=100%% sleep 1000
"""


class StubService:
    """A folder to start in, and the start itself."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.output = folder / "output"
        self.prefix: list[str] = []  # of the command
        self.environ = {"PORT": str(free_loopback_port()), "FLOWER_PORT": str(free_loopback_port()), **environ}
        folder.mkdir(exist_ok=True)
        (folder / "web.py").write_text(WEB)
        (folder / "Procfile").write_text(PROCFILE)

    def start(self) -> subprocess.Popen[bytes]:
        """Start without waiting."""
        environ = {name: value for name, value in os.environ.items() if name not in GIVEN}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*self.prefix, sys.executable, str(SERVE)],
                cwd=self.folder,
                env={**environ, **self.environ},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self.process

    def start_up(self) -> None:
        """Start, and wait until the page's URL is printed."""
        self.start()
        wait_until(lambda: self.process.poll() is not None or "Ctrl-C stops" in self.said(), PATIENCE)
        assert self.process.poll() is None, self.said()

    def fail(self) -> str:
        """Run a start that fails. Returns its output."""
        assert self.start().wait(PATIENCE) == 1, self.said()
        return self.said()

    def said(self) -> str:
        return self.output.read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it. Returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def supervisord(self) -> psutil.Process:
        return psutil.Process(int((self.data / "run/supervisord.pid").read_text()))

    def children(self) -> dict[str, psutil.Process]:
        """Returns the processes of supervisord by a short name."""
        return {word: child for child in self.supervisord().children() if (word := _name(child))}


def _name(process: psutil.Process) -> str:
    try:
        line = " ".join(process.cmdline())
    except psutil.Error:
        return ""
    words = {"valkey-server": "redis", "redis-server": "redis", "faketelegram": "telegram", "web.py": "web"}
    return next((name for word, name in words.items() if word in line), "worker")
