"""scripts/audit against a local advisory server; scripts/check uses the real one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Advisories(BaseHTTPRequestHandler):
    """An advisory server with the OSV API that knows one vulnerability, in one package."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
        found = {"vulns": [{"id": "MADE-UP-1", "summary": "made up", "affected": []}]}
        body = json.dumps(found if asked == getattr(self.server, "vulnerable", None) else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


class AdvisoryServer(ThreadingHTTPServer):
    vulnerable: str | None = None

    @property
    def options(self) -> list[str]:
        return ["-s", "osv", "--osv-url", f"http://127.0.0.1:{self.server_port}"]


@pytest.fixture
def server() -> Iterator[AdvisoryServer]:
    with AdvisoryServer(("127.0.0.1", 0), Advisories) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def audit(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "scripts/audit", *options], capture_output=True, text=True, timeout=300, check=False)


def test_locks_without_known_advisories_pass(server: AdvisoryServer) -> None:
    answer = audit(*server.options)
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr.count("No known vulnerabilities found") == 4


@pytest.mark.parametrize(("name", "locks"), [("flask", 3), ("granian", 1), ("uv", 1)])
def test_a_vulnerable_version_fails_the_audit_and_is_named(server: AdvisoryServer, name: str, locks: int) -> None:
    server.vulnerable = name
    answer = audit(*server.options)
    assert answer.returncode == 1
    assert answer.stdout.count("MADE-UP-1") == locks


def test_an_audit_without_an_answer_fails(server: AdvisoryServer) -> None:
    server.shutdown()
    server.server_close()
    assert audit(*server.options).returncode == 1


def test_the_answers_check_requires_a_service_that_knows_an_old_advisory(server: AdvisoryServer) -> None:
    silent = audit("--answers", *server.options).returncode
    server.vulnerable = "jinja2"
    answering = audit("--answers", *server.options).returncode
    server.shutdown()
    server.server_close()
    gone = audit("--answers", *server.options).returncode
    assert (silent, answering, gone) == (1, 0, 1)
