"""Slow clients never block gunicorn's two threads."""

from __future__ import annotations

import resource
import socket
import struct
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from tests.conftest import wait_until
from tests.support.raw_http import connect, head, read_answer
from tests.web.server.conftest import CONNECTIONS, GET, MANY, THREADS, Server, run_server

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


def test_a_client_that_reads_nothing_of_an_answer_too_large_for_the_kernel_blocks_no_thread(server: Server) -> None:
    with server.many(head("GET /huge HTTP/1.0"), THREADS):
        server.assert_answers(1)


def test_a_thread_that_waits_for_a_client_is_freed(hasty: Server) -> None:
    with hasty.many(head("POST /read HTTP/1.1", "Content-Length: 70000") + b"12345", THREADS):
        hasty.assert_answers()


def test_an_idle_connection_stays_open_and_a_silent_one_is_closed(hasty: Server) -> None:
    with connect(hasty.url) as idle, idle.makefile("rb") as stream:
        idle.sendall(GET)
        assert read_answer(stream)
        with connect(hasty.url) as silent:
            assert silent.recv(1) == b""
        idle.sendall(GET)
        assert read_answer(stream)


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
