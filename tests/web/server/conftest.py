"""Gunicorn with a plain app.

A patient server waits ten minutes for a client, so a blocked thread would answer no further request. A hasty one gives
up on a client at once.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from runner.ports import free_loopback_port
from tests.conftest import wait_until
from tests.support.raw_http import connect, exchange, head
from tests.support.running import ROOT

THREADS, CONNECTIONS = 2, 40
MANY = 3 * THREADS
GET = head("GET /here HTTP/1.1")


@dataclass(frozen=True)
class Server:
    """A gunicorn with one process."""

    url: str
    gunicorn: subprocess.Popen[bytes]
    log: Path

    def worker(self) -> psutil.Process:
        return psutil.Process(self.gunicorn.pid).children()[0]

    def open_connections(self) -> int:
        return sum(one.status == psutil.CONN_ESTABLISHED for one in self.worker().net_connections())

    @contextmanager
    def many(self, data: bytes, number: int = MANY) -> Iterator[list[socket.socket]]:
        """Connect many clients that send this and no more. After the block the server has closed them all."""
        with ExitStack() as clients:
            opened = [clients.enter_context(connect(self.url, receive_buffer=2048)) for _ in range(number)]
            for client in opened:
                client.sendall(data)
            yield opened
        wait_until(lambda: self.open_connections() == 0)

    def assert_answers(self, times: int = 5) -> None:
        """Several times, since the other clients reach the threads one after the other."""
        for _ in range(times):
            assert [answer.body for answer in exchange(self.url, GET)] == [b"/here"]


@contextmanager
def run_server(folder: Path, worker: str) -> Iterator[Server]:
    """Run gunicorn; its log has no error at the end."""
    port, log, nothing = free_loopback_port(), folder / "log", folder / "empty.py"
    nothing.touch()
    options = ["--config", str(nothing), "--worker-class", f"tests.support.plain_app.{worker}"]
    options += ["--threads", str(THREADS), "--worker-connections", str(CONNECTIONS), "--keep-alive", "600"]
    options += ["--graceful-timeout", "600", "--no-control-socket", "--bind", f"127.0.0.1:{port}"]
    command = [sys.executable, "-m", "gunicorn", *options, "tests.support.plain_app:app"]
    with log.open("w") as out, subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out) as gunicorn:
        try:
            wait_until(lambda: "Booting worker" in log.read_text())
            yield Server(f"http://127.0.0.1:{port}", gunicorn, log)
        finally:
            gunicorn.terminate()
            gunicorn.wait(60)
    assert "Traceback" not in log.read_text()
    assert "[ERROR]" not in log.read_text()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The patient server."""
    with run_server(tmp_path_factory.mktemp("patient"), "PatientWorker") as running:
        yield running


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("hasty"), "HastyWorker") as running:
        yield running
