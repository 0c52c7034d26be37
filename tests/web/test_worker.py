"""gunicorn's two threads are never kept waiting by clients; here with a plain app, and waits of a second."""

from __future__ import annotations

import resource
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from runner.ports import free_loopback_port
from tests.conftest import wait_until
from tests.support.plain_app import LARGE_BYTES, HastyWorker
from tests.support.raw_http import connect, exchange, head, read_answer, read_answers
from tests.support.running import ROOT
from web.connection import count_body_bytes

THREADS, CONNECTIONS = 2, 40
MANY = 3 * THREADS
SOON = 0.7  # seconds; less than any wait for a client
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

    def open_many(self, data: bytes, number: int = MANY) -> list[socket.socket]:
        """So many clients that send this and no more."""
        clients = [connect(self.url, receive_buffer=2048) for _ in range(number)]
        for client in clients:
            client.sendall(data)
        return clients

    def assert_answers_soon(self) -> None:
        """Half a second long, so that threads have time to be caught."""
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            self.assert_answers_once()

    def assert_answers_once(self) -> None:
        started = time.monotonic()
        assert [answer.body for answer in exchange(self.url, GET)] == [b"/here"]
        assert time.monotonic() - started < SOON


@contextmanager
def run_server(folder: Path, worker_class: str = "tests.support.plain_app.HastyWorker") -> Iterator[Server]:
    """gunicorn until its end, which is without complaints."""
    port, log, nothing = free_loopback_port(), folder / "log", folder / "empty.py"
    nothing.touch()
    options = ["--config", str(nothing), "--worker-class", worker_class, "--threads", str(THREADS)]
    options += ["--worker-connections", str(CONNECTIONS), "--keep-alive", "30", "--no-control-socket"]
    command = [sys.executable, "-m", "gunicorn", *options, "--bind", f"127.0.0.1:{port}", "tests.support.plain_app:app"]
    with log.open("w") as out, subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out) as gunicorn:
        try:
            wait_until(lambda: "Booting worker" in log.read_text())
            yield Server(f"http://127.0.0.1:{port}", gunicorn, log)
        finally:
            gunicorn.terminate()
            gunicorn.wait(20)
    assert "Traceback" not in log.read_text()
    assert "[ERROR]" not in log.read_text()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("gunicorn")) as running:
        yield running


SLOW = {
    "silent": b"",
    "half a line": b"GET /he",
    "half a head": GET[:-2],
    "half a body": head("POST /read HTTP/1.1", "Content-Length: 10") + b"12345",
    "half of the next request": GET + b"G",
    "not even an end": head("GET / HTTP/1.0"),
    "an answer nobody reads": head("GET /large HTTP/1.0"),
    "answers nobody reads": head("GET /large HTTP/1.1") * 30,
    "a body nobody reads": head("POST / HTTP/1.1", "Content-Length: 70000") + b"12345",
    "chunks nobody reads": head("POST / HTTP/1.1", "Transfer-Encoding: chunked") + b"5\r\n12",
}


@pytest.mark.parametrize("name", SLOW)
def test_a_slow_client_holds_no_thread_and_is_cut_off(server: Server, name: str) -> None:
    clients = server.open_many(SLOW[name])
    server.assert_answers_soon()
    wait_until(lambda: server.open_connections() == 0, 4)
    for client in clients:
        client.close()


def test_clients_that_ask_on_without_reading_hold_no_thread(server: Server) -> None:
    clients = server.open_many(head("GET /large HTTP/1.1"), 2 * THREADS)
    for _ in range(12):
        server.assert_answers_once()
        for client in clients:
            with suppress(OSError):  # cut off
                client.sendall(head("GET /large HTTP/1.1"))
    server.assert_answers_soon()
    for client in clients:
        client.close()


def test_a_thread_that_waits_for_a_client_is_freed(server: Server) -> None:
    clients = server.open_many(head("POST /read HTTP/1.1", "Transfer-Encoding: chunked") + b"5\r\n12", THREADS)
    started = time.monotonic()
    [answer] = exchange(server.url, GET)
    assert (answer.body, time.monotonic() - started < 3) == (b"/here", True)
    for client in clients:
        client.close()


def test_a_request_may_come_in_pieces(server: Server) -> None:
    data = head("POST /read HTTP/1.1", "Content-Length: 5") + b"hello"
    with connect(server.url) as client, client.makefile("rb") as stream:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data + GET:
            client.sendall(bytes([byte]))
        assert [answer and answer.body for answer in (read_answer(stream), read_answer(stream))] == [b"hello", b"/here"]


def test_a_body_that_waits_to_be_asked_is_asked(server: Server) -> None:
    with connect(server.url) as client, client.makefile("rb") as stream:
        client.sendall(head("POST /read HTTP/1.1", "Content-Length: 5", "Expect: 100-continue"))
        asked = read_answer(stream)
        client.sendall(b"hello")
        answer = read_answer(stream)
    assert asked
    assert answer
    assert (asked.status, answer.body) == (100, b"hello")


def test_an_idle_connection_stays(server: Server) -> None:
    with connect(server.url) as client, client.makefile("rb") as stream:
        for seconds in (HastyWorker.request_seconds + 0.6, 0.0):
            client.sendall(GET)
            assert read_answer(stream)
            time.sleep(seconds)


def test_a_client_that_reads_late_gets_everything(server: Server) -> None:
    with connect(server.url, receive_buffer=2048) as client, client.makefile("rb") as stream:
        client.sendall(head("GET /large HTTP/1.1") * 9 + head("GET /large HTTP/1.1", "Connection: close"))
        server.assert_answers_soon()
        assert [len(answer.body) for answer in read_answers(stream, ["GET"])] == [LARGE_BYTES] * 10


def test_a_client_that_still_sends_is_not_reset(server: Server) -> None:
    with connect(server.url) as client, client.makefile("rb") as stream:
        client.sendall(head("POST /here HTTP/1.1", "Content-Length: 3000000"))
        for _ in range(30):
            client.sendall(bytes(10_000))
        assert stream.read().endswith(b"/here")


def test_when_all_places_are_taken_who_lets_us_wait_goes(server: Server) -> None:
    for data in (b"", GET):
        clients = server.open_many(data, CONNECTIONS + 5)
        server.assert_answers_soon()
        assert server.open_connections() <= CONNECTIONS
        for client in clients:
            client.close()


def test_clients_that_reset_their_connection_end_no_process(server: Server) -> None:
    worker = server.worker()
    for data in (b"", b"G", GET, GET * 3, b"G" * 40_000, head("GET / HTTP/1.1", "X: " + "x" * 40_000)) * 10:
        client = connect(server.url)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(data)
        client.close()
    server.assert_answers_soon()
    assert server.worker() == worker
    wait_until(lambda: server.open_connections() == 0, 4)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of another process: on Linux only")
def test_a_process_without_free_descriptors_makes_room(server: Server) -> None:
    worker = server.worker()
    wait_until(lambda: {one.status for one in worker.net_connections()} == {psutil.CONN_LISTEN})
    soft, hard = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
    few = worker.num_fds() + 5
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (few, hard))
    clients = server.open_many(b"", 20)
    server.assert_answers_soon()
    for client in clients:
        client.close()
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (soft, hard))
    wait_until(lambda: server.open_connections() == 0)
    server.assert_answers_soon()
    assert server.worker() == worker


def test_a_stopping_server_does_not_wait_for_slow_clients(tmp_path: Path) -> None:
    with run_server(tmp_path, "tests.support.plain_app.PatientWorker") as server:
        clients = server.open_many(GET + b"G")
        server.assert_answers_soon()
        server.gunicorn.terminate()
        assert server.gunicorn.wait(20) == 0
    for client in clients:
        client.close()


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ([], 0),
        (["Content-Length: 5"], 5),
        (["content-length:5"], 5),
        (["X: 1", "CONTENT-LENGTH:\t65536 ", "X: 2"], 65536),
        (["Content-Length: 65537"], 0),
        (["Content-Length: 5", "Expect: 100-continue"], 0),
        (["Content-Length: +5"], 0),
        (["Content-Length: 5, 5"], 0),
        ([f"Content-Length: {'9' * 5000}"], 0),
        (["X-Content-Length: 5"], 0),
    ],
)
def test_a_body_is_waited_for_if_it_comes_unasked_and_will_be_read(fields: list[str], number: int) -> None:
    assert count_body_bytes(head("POST / HTTP/1.1", *fields)) == number
