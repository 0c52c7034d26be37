"""What scripts/audit says of an advisory service on loopback; scripts/check asks the real one."""

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
    """An advisory service of the OSV API that knows one vulnerability, in one package."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]["name"]
        found = {"vulns": [{"id": "MADE-UP-1", "summary": "made up", "affected": []}]}
        body = json.dumps(found if asked == getattr(self.server, "vulnerable", None) else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Service(ThreadingHTTPServer):
    """Where the advisories are served."""

    vulnerable: str | None = None

    @property
    def options(self) -> list[str]:
        return ["-s", "osv", "--osv-url", f"http://127.0.0.1:{self.server_port}"]


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(("127.0.0.1", 0), Advisories) as service:
        Thread(target=service.serve_forever, daemon=True).start()
        yield service
        service.shutdown()


def audit(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "scripts/audit", *options], capture_output=True, text=True, timeout=300, check=False)


def test_locks_that_nothing_is_known_about_are_clean(service: Service) -> None:
    answer = audit(*service.options)
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr.count("No known vulnerabilities found") == 4


@pytest.mark.parametrize(("name", "locks"), [("flask", 3), ("granian", 1), ("uv", 1)])
def test_a_vulnerable_version_fails_the_audit_and_is_named(service: Service, name: str, locks: int) -> None:
    service.vulnerable = name
    answer = audit(*service.options)
    assert answer.returncode == 1
    assert answer.stdout.count("MADE-UP-1") == locks


def test_an_audit_that_nobody_answered_is_not_clean(service: Service) -> None:
    service.shutdown()
    service.server_close()
    assert audit(*service.options).returncode == 1


def test_only_a_service_that_knows_an_old_advisory_counts_as_one_that_answers(service: Service) -> None:
    silent = audit("--answers", *service.options).returncode
    service.vulnerable = "jinja2"
    answering = audit("--answers", *service.options).returncode
    service.shutdown()
    service.server_close()
    gone = audit("--answers", *service.options).returncode
    assert (silent, answering, gone) == (1, 0, 1)
