"""scripts/audit against a local advisory server; scripts/check uses the real one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.running import ROOT
from tests.support.servers import HttpStub, Pieces, reply


class Advisories(HttpStub):
    """An advisory server with the OSV API that knows one vulnerability, in one package."""

    vulnerable: str | None = None

    @property
    def options(self) -> list[str]:
        return ["-s", "osv", "--osv-url", self.url]

    def respond(self, _line: str, body: bytes) -> Pieces:
        is_known = json.loads(body)["package"]["name"] == self.vulnerable
        found = {"vulns": [{"id": "MADE-UP-1", "summary": "made up", "affected": []}]}
        return reply(json.dumps(found if is_known else {}).encode())


@pytest.fixture
def server() -> Iterator[Advisories]:
    with Advisories() as server:
        yield server


def audit(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "scripts/audit", *options], capture_output=True, text=True, timeout=1500, check=False)


def test_locks_without_known_advisories_pass(server: Advisories) -> None:
    answer = audit(*server.options)
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr.count("No known vulnerabilities found") == 4


@pytest.mark.parametrize(("name", "locks"), [("flask", 3), ("granian", 1), ("uv", 1)])
def test_a_vulnerable_version_fails_the_audit_and_is_named(server: Advisories, name: str, locks: int) -> None:
    server.vulnerable = name
    answer = audit(*server.options)
    assert answer.returncode == 1
    assert answer.stdout.count("MADE-UP-1") == locks


def test_an_audit_without_an_answer_fails(server: Advisories) -> None:
    server.close()
    assert audit(*server.options).returncode == 1


def test_the_answers_check_requires_a_service_that_knows_an_old_advisory(server: Advisories) -> None:
    silent = audit("--answers", *server.options).returncode
    server.vulnerable = "jinja2"
    answering = audit("--answers", *server.options).returncode
    server.close()
    gone = audit("--answers", *server.options).returncode
    assert (silent, answering, gone) == (1, 0, 1)
