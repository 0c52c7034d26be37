"""Slow clients never block gunicorn's two threads; here with a plain app.

A patient server waits ten minutes for a client, so a blocked thread would answer no further request. A hasty one gives
up on a client at once.
"""

from __future__ import annotations

import resource
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from runner.ports import free_loopback_port
from tests.conftest import wait_until
from tests.support.plain_app import LARGE_BYTES
from tests.support.raw_http import connect, exchange, head, read_answer, read_answers
from tests.support.running import ROOT
from web.server.connection import count_body_bytes, find_next_chunk

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


SLOW = {
    "silent": b"",
    "half a line": b"GET /he",
    "half a head": GET[:-2],
    "half a body": head("POST /read HTTP/1.1", "Content-Length: 10") + b"12345",
    "half of the next request": GET + b"G",
    "not even an end": head("GET / HTTP/1.0"),
    "an answer that is not read": head("GET /large HTTP/1.0"),
    "answers that are not read": head("GET /large HTTP/1.1") * 30,
    "a body that the app does not read": head("POST / HTTP/1.1", "Content-Length: 70000") + b"12345",
    "half of the chunks": head("POST /read HTTP/1.1", "Transfer-Encoding: chunked") + b"5\r\n12",
    "no body after 100": head("POST /read HTTP/1.1", "Content-Length: 5", "Expect: 100-continue"),
    "no chunks after 100": head("POST /read HTTP/1.1", "Transfer-Encoding: chunked", "Expect: 100-continue"),
    "no body of HTTP/1.0": head("POST /read HTTP/1.0", "Content-Length: 5", "Expect: 100-continue"),
    "chunks that the app does not read": head("POST / HTTP/1.1", "Transfer-Encoding: chunked") + b"5\r\n12",
}


@pytest.mark.parametrize("name", SLOW)
def test_a_slow_client_blocks_no_thread(server: Server, name: str) -> None:
    with server.many(SLOW[name]):
        server.assert_answers()


def test_a_slow_client_is_cut_off(hasty: Server) -> None:
    clients = {name: connect(hasty.url) for name in SLOW}
    for name, client in clients.items():
        client.sendall(SLOW[name])
    stayed = []
    for name, client in clients.items():
        with client:
            try:
                while client.recv(2**16):
                    pass
            except TimeoutError:
                stayed.append(name)
            except OSError:
                pass  # a reset also ends the connection
    assert stayed == []
    wait_until(lambda: hasty.open_connections() == 0)


def test_clients_that_send_requests_without_reading_block_no_thread(server: Server) -> None:
    with server.many(head("GET /large HTTP/1.1"), 2 * THREADS) as clients:
        for _ in range(12):
            server.assert_answers(1)
            for client in clients:
                with suppress(OSError):  # cut off
                    client.sendall(head("GET /large HTTP/1.1"))
        server.assert_answers()


def test_a_thread_that_waits_for_a_client_is_freed(hasty: Server) -> None:
    with hasty.many(head("POST /read HTTP/1.1", "Content-Length: 70000") + b"12345", THREADS):
        hasty.assert_answers()


def test_a_request_may_arrive_in_pieces(server: Server) -> None:
    data = head("POST /read HTTP/1.1", "Content-Length: 5") + b"hello"
    with connect(server.url) as client, client.makefile("rb") as stream:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data + GET:
            client.sendall(bytes([byte]))
        assert [answer and answer.body for answer in (read_answer(stream), read_answer(stream))] == [b"hello", b"/here"]


def test_expect_continue_gets_100_before_the_body(server: Server) -> None:
    with connect(server.url) as client, client.makefile("rb") as stream:
        client.sendall(head("POST /read HTTP/1.1", "Content-Length: 5", "Expect: 100-continue"))
        asked = read_answer(stream)
        client.sendall(b"hello")
        answer = read_answer(stream)
    assert asked
    assert answer
    assert (asked.status, answer.body) == (100, b"hello")


@pytest.mark.parametrize("fields", [["Content-Length: 5"], ["Transfer-Encoding: chunked"]])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_an_app_that_reads_no_body_asks_for_none(server: Server, fields: list[str], method: str) -> None:
    with connect(server.url) as client, client.makefile("rb") as stream:
        client.sendall(head(f"{method} /here HTTP/1.1", *fields, "Expect: 100-continue"))
        answer = read_answer(stream)
    assert answer
    assert (answer.status, answer.body) == (200, b"/here")


def test_the_body_after_100_may_come_in_chunks_and_the_next_request_behind_it(server: Server) -> None:
    with connect(server.url) as client, client.makefile("rb") as stream:
        client.sendall(head("POST /read HTTP/1.1", "Transfer-Encoding: chunked", "Expect: 100-continue"))
        assert (asked := read_answer(stream))
        assert asked.status == 100
        client.sendall(b"5\r\nhello\r\n0\r\n\r\n" + GET)
        assert [answer and answer.body for answer in (read_answer(stream), read_answer(stream))] == [b"hello", b"/here"]


def test_chunks_may_arrive_in_pieces(server: Server) -> None:
    data = head("POST /read HTTP/1.1", "Transfer-Encoding: chunked") + b"5;x=1\r\nhello\r\n1\r\n!\r\n0\r\nX: 1\r\n\r\n"
    with connect(server.url) as client, client.makefile("rb") as stream:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data + GET:
            client.sendall(bytes([byte]))
        assert [answer and answer.body for answer in (read_answer(stream), read_answer(stream))] == [
            b"hello!",
            b"/here",
        ]


def test_the_words_of_an_expectation_in_a_body_ask_for_nothing(server: Server) -> None:
    body = b"a\nexpect: 100-continue\nb"
    with connect(server.url) as client, client.makefile("rb") as stream:
        client.sendall(head("POST /read HTTP/1.1", f"Content-Length: {len(body)}") + body)
        answer = read_answer(stream)
    assert answer
    assert (answer.status, answer.body) == (200, body)


def test_an_idle_connection_stays_open_and_a_silent_one_is_closed(hasty: Server) -> None:
    with connect(hasty.url) as idle, idle.makefile("rb") as stream:
        idle.sendall(GET)
        assert read_answer(stream)
        with connect(hasty.url) as silent:
            assert silent.recv(1) == b""
        idle.sendall(GET)
        assert read_answer(stream)


def test_a_client_that_reads_late_receives_everything(server: Server) -> None:
    with connect(server.url, receive_buffer=2048) as client, client.makefile("rb") as stream:
        client.sendall(head("GET /large HTTP/1.1") * 9 + head("GET /large HTTP/1.1", "Connection: close"))
        server.assert_answers()
        assert [len(answer.body) for answer in read_answers(stream, ["GET"])] == [LARGE_BYTES] * 10


def test_a_client_that_still_sends_is_not_reset(server: Server) -> None:
    with connect(server.url) as client, client.makefile("rb") as stream:
        client.sendall(head("POST /here HTTP/1.1", "Content-Length: 3000000"))
        for _ in range(30):
            client.sendall(bytes(10_000))
        assert stream.read().endswith(b"/here")


@pytest.mark.parametrize("data", [b"", GET], ids=["silent", "idle"])
def test_with_all_connections_taken_a_waiting_client_is_closed(server: Server, data: bytes) -> None:
    with server.many(data, CONNECTIONS + 5):
        server.assert_answers()
        assert server.open_connections() <= CONNECTIONS


def test_connection_resets_do_not_end_the_process(server: Server) -> None:
    worker = server.worker()
    for data in (b"", b"G", GET, GET * 3, b"G" * 40_000, head("GET / HTTP/1.1", "X: " + "x" * 40_000)) * 10:
        client = connect(server.url)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(data)
        client.close()
    server.assert_answers()
    assert server.worker() == worker
    wait_until(lambda: server.open_connections() == 0)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of another process: on Linux only")
def test_a_process_without_free_descriptors_closes_waiting_clients(server: Server) -> None:
    worker = server.worker()
    wait_until(lambda: {one.status for one in worker.net_connections()} == {psutil.CONN_LISTEN})
    soft, hard = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
    few = worker.num_fds() + 5
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (few, hard))
    try:
        with server.many(b"", 20):
            server.assert_answers()
    finally:
        resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (soft, hard))
    server.assert_answers()
    assert server.worker() == worker


def test_a_stopping_server_does_not_wait_for_slow_clients(tmp_path: Path) -> None:
    with run_server(tmp_path, "PatientWorker") as server, ExitStack() as clients:
        for _ in range(MANY):
            clients.enter_context(connect(server.url)).sendall(GET + b"G")
        server.assert_answers()
        server.gunicorn.terminate()
        assert server.gunicorn.wait(60) == 0


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
def test_the_server_gathers_a_body_that_arrives_unasked_and_is_small_enough(fields: list[str], number: int) -> None:
    assert count_body_bytes(head("POST / HTTP/1.1", *fields)) == number


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", (0, False)),
        (b"5", (0, False)),
        (b"5\r\nhello", (0, False)),
        (b"5\r\nhello\r\n", (10, False)),
        (b"5\r\nhello\r\n0\r\n", (10, False)),
        (b"5\r\nhello\r\n0\r\n\r\nGET", (15, True)),
        (b"A \t;a=b\r\n0123456789\r\n000\r\nX: 1\r\n\r\n", (34, True)),
    ],
)
def test_the_end_of_a_body_in_chunks_is_found(data: bytes, found: tuple[int, bool]) -> None:
    assert find_next_chunk(data, 0) == found


@pytest.mark.parametrize("data", [b"zz\r\n", b"\r\n", b"-1\r\n", b"fffffffff\r\n", b"5\r\nhello!!\r\n0\r\n\r\n"])
def test_what_is_no_chunk_is_waited_for_no_longer(data: bytes) -> None:
    with pytest.raises(ValueError, match="size of a chunk"):
        find_next_chunk(data, 0)
