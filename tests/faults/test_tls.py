"""A whole service whose Redis and broker speak TLS: it works once the URLs name the private authority, and only then.

The embedded server has no TLS, so a forwarder ends it, and keeps what the processes send.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from runner import procfile
from runner.ports import free_loopback_port
from tests.conftest import API_KEY, SIGNING_KEY, wait_until
from tests.support.faults import DEADLINE, Stage, run_stage
from tests.support.redis_nodes import Node
from tests.support.running import PATIENT, REQUEST_SECONDS, ROOT
from tests.support.servers import Certificate, Relay, make_certificate

PASSWORD = "sesame-of-tls"
FLOWER = ("admin", "a-password-for-flower")
PROGRAMS = {
    **{name: shlex.split(line) for name, line in procfile.read(ROOT / "Procfile").items() if name != "worker2"},
    "scripts/run": [sys.executable, "scripts/runner"],
    "diagnose": ["avatar-warmer", "diagnose", "--json"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def certificate(folder: Path) -> Certificate:
    return make_certificate(folder)


@pytest.fixture(scope="module")
def node(folder: Path) -> Iterator[Node]:
    with Node(folder / "redis") as node:
        node.client.config_set("requirepass", PASSWORD)
        yield node


@pytest.fixture
def forwarder(node: Node, certificate: Certificate) -> Iterator[Relay]:
    with Relay(node.url, certificate=certificate) as forwarder:
        yield forwarder


def name_servers(forwarder: Relay, options: str = "") -> dict[str, str]:
    """The settings that lead to the forwarder, the broker in a database of its own."""
    at = f"rediss://:{PASSWORD}@127.0.0.1:{forwarder.port}"
    return {"REDIS_URL": f"{at}/0{options}", "CELERY_BROKER_URL": f"{at}/1{options}"}


def test_with_the_authority_in_the_urls_the_whole_service_works(
    tmp_path: Path, forwarder: Relay, certificate: Certificate
) -> None:
    settings = name_servers(forwarder, f"?ssl_ca_certs={quote(str(certificate.file))}")
    with run_stage(tmp_path, FLOWER_BASIC_AUTH=":".join(FLOWER), **settings, **PATIENT) as stage:
        ((user_id, file_id),) = stage.warm(1).items()
        (cold,) = stage.add_people(1).values()
        assert [stage.get(file_id).status, stage.get_when_warm(cold).status] == [200, 200]
        assert stage.service.ask("DELETE", f"/api/partner/{user_id}").status_code == 204
        wait_until(lambda: set(stage.service.ask("GET", "/readyz").json()["checks"].values()) == {"ok"}, DEADLINE)
        wait_until(lambda: len(read_flower(stage, "/api/workers?refresh=1")) == 2, DEADLINE)
        queues = read_flower(stage, "/api/queues/length")["active_queues"]
        assert {"hot", "warm"} <= {queue["name"] for queue in queues}
        assert PASSWORD.encode() in forwarder.sent
        assert_all_connections_are_encrypted(stage, forwarder)


def read_flower(stage: Stage, path: str) -> dict[str, list[dict[str, str]]]:
    try:
        url = f"http://127.0.0.1:{stage.service.environment['FLOWER_PORT']}{path}"
        found: dict[str, list[dict[str, str]]] = requests.get(url, auth=FLOWER, timeout=REQUEST_SECONDS).json()
    except requests.ConnectionError:
        return {}
    return found


def assert_all_connections_are_encrypted(stage: Stage, forwarder: Relay) -> None:
    """The processes know no other server, and each of them is connected."""
    for name in ("web", "worker", "worker2", "beat", "flower"):
        ports = {one.raddr.port for process in stage.processes(name) for one in process.net_connections() if one.raddr}
        assert forwarder.port in ports, name


@contextmanager
def running(name: str, folder: Path, settings: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run one program by itself, in the environment of a deployment."""
    given = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "TELEGRAM_BOT_TOKEN": "123456789:FAKE-of-tls",
        "API_KEYS": API_KEY,
        "URL_SIGNING_KEYS": SIGNING_KEY,
        "FLOWER_BASIC_AUTH": ":".join(FLOWER),
        "DATA_DIR": str(folder),
        "PORT": str(free_loopback_port()),
        "FLOWER_PORT": str(free_loopback_port()),
        **settings,
    }
    command, output = PROGRAMS[name], subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=given, stdout=output, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def run_to_its_end(name: str, folder: Path, settings: dict[str, str]) -> tuple[str, int]:
    """Returns its output and status. One at a time: beside others its check of the servers would lack the time."""
    with running(name, folder, settings) as process:
        text, _ = process.communicate(timeout=DEADLINE)
    return text, process.returncode


def test_no_process_starts_with_a_certificate_that_is_not_trusted_or_sends_its_password(
    tmp_path: Path, forwarder: Relay
) -> None:
    said: dict[str, tuple[str, int]] = {}
    for name in PROGRAMS:
        said[name] = run_to_its_end(name, tmp_path / name, name_servers(forwarder))
    assert {name: status for name, (_, status) in said.items() if status == 0} == {}
    for name, (text, _) in said.items():
        lines = [line for line in text.splitlines() if "_URL: does not trust" in line]  # either of the two
        assert len(lines) == 1, (name, text)
        assert lines[0] == text.splitlines()[-1], (name, text)
        assert "self-signed certificate" in lines[0]
        assert PASSWORD not in text
        assert "Traceback" not in text
    assert forwarder.connections >= len(PROGRAMS)
    assert bytes(forwarder.sent) == b""


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("rediss://:{password}@{node}", "does not speak TLS: write redis:// instead of rediss://"),
        ("redis://:{password}@{encrypted}", "speaks TLS alone: write rediss:// instead of redis://"),
        ("redis://:wrong-{password}@{node}", "refuses the user name or the password"),
    ],
)
def test_no_process_starts_with_a_redis_that_is_not_what_the_url_says(
    tmp_path: Path, node: Node, forwarder: Relay, url: str, told: str
) -> None:
    given = url.format(password=PASSWORD, node=node.where, encrypted=f"127.0.0.1:{forwarder.port}")
    said: dict[str, tuple[str, int]] = {}
    for name in PROGRAMS:
        said[name] = run_to_its_end(name, tmp_path / name, {"REDIS_URL": given})
    for name, (text, status) in said.items():
        assert status != 0, name
        shown = text if name == "diagnose" else text.splitlines()[-1]  # diagnose goes on, and says it in a row
        assert f"REDIS_URL: 127.0.0.1:{given.rpartition(':')[2]} {told}" in shown, (name, text)
        assert PASSWORD not in text
        assert "Traceback" not in text


def test_a_broker_alone_that_is_not_trusted_stops_the_workers_but_not_the_web(
    tmp_path: Path, forwarder: Relay, certificate: Certificate
) -> None:
    trusted = name_servers(forwarder, f"?ssl_ca_certs={quote(str(certificate.file))}")
    port = str(free_loopback_port())
    settings = name_servers(forwarder) | {"REDIS_URL": trusted["REDIS_URL"], "PORT": port}
    url = f"http://127.0.0.1:{port}/readyz"
    with running("worker", tmp_path / "worker", settings) as worker, running("web", tmp_path, settings):
        assert "CELERY_BROKER_URL: does not trust" in worker.communicate(timeout=DEADLINE)[0]
        wait_until(lambda: answers(url), DEADLINE)
    assert b"\r\nSELECT\r\n$1\r\n1\r\n" not in forwarder.sent  # the broker's database


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=REQUEST_SECONDS).status_code == 200
    except requests.ConnectionError:
        return False
