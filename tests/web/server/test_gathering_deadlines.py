"""The timeouts of gunicorn's worker for a client, with a clock that the test moves."""

from __future__ import annotations

import math
import os
import selectors
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from gunicorn.config import Config
from gunicorn.workers import gthread

from tests.conftest import wait_until
from tests.support import plain_app
from tests.support.clock import Clock
from tests.support.raw_http import head
from tests.support.worker_loop import WorkerLog
from web.server.connection import MAX_HEAD_BYTES, Connection
from web.server.gathering import GatheringWorker

LINGER = 2.0  # seconds, gunicorn's own


@pytest.fixture
def worker(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[GatheringWorker]:
    """A worker in this process, whose loop the test drives."""
    monkeypatch.setattr(gthread, "STOP_KEEPALIVE_LINGER", LINGER)
    worker = GatheringWorker(1, os.getppid(), [], None, 30, Config(), WorkerLog("tests"))
    worker.clock = clock
    worker.wsgi = plain_app.app
    worker.poller, worker.tpool = selectors.DefaultSelector(), worker.get_thread_pool()
    worker.method_queue.init()
    worker.poller.register(worker.method_queue.fileno(), selectors.EVENT_READ, worker.method_queue.run_callbacks)
    yield worker
    for conn in [*worker.polling, *worker.working]:
        conn.cut_off()
        conn.close()
    worker.tpool.shutdown()
    worker.poller.close()
    worker.method_queue.close()
    worker.tmp.close()


@contextmanager
def connect(worker: GatheringWorker) -> Iterator[socket.socket]:
    """A client whose connection the worker has accepted."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        client.settimeout(60)
        worker.accept(listener)
        yield client


@pytest.fixture
def client(worker: GatheringWorker) -> Iterator[socket.socket]:
    with connect(worker) as client:
        yield client


def run_loop_once(worker: GatheringWorker) -> None:
    """Run one iteration of the loop like gunicorn."""
    worker.wait_for_and_dispatch_events(0.01)
    worker.murder_pending()


def run_loop_until(worker: GatheringWorker, condition: Callable[[], object]) -> None:
    """Run the loop until the condition is true."""

    def check() -> object:
        run_loop_once(worker)
        return condition()

    wait_until(check)


def only_connection(worker: GatheringWorker) -> Connection:
    [conn] = [*worker.polling, *worker.working]
    return conn


def assert_waits(worker: GatheringWorker, clock: Clock, seconds: float) -> None:
    """Check that the client has exactly this time."""
    clock.advance(seconds - 0.6)
    run_loop_once(worker)
    assert worker.nr_conns == 1
    clock.advance(0.7)
    run_loop_once(worker)
    assert worker.nr_conns == 0


@pytest.mark.parametrize(
    "data", [b"", b"GET /he", head("POST /read HTTP/1.1", "Transfer-Encoding: chunked") + b"5\r\n"]
)
def test_a_request_has_ten_seconds_to_arrive(
    worker: GatheringWorker, clock: Clock, client: socket.socket, data: bytes
) -> None:
    client.sendall(data)
    assert_waits(worker, clock, 10)
    assert client.recv(1) == b""


def test_a_request_in_pieces_has_no_longer(worker: GatheringWorker, clock: Clock, client: socket.socket) -> None:
    for number in range(9):
        client.sendall(b"GET /here"[number : number + 1])
        clock.advance(1)
        run_loop_once(worker)
    assert_waits(worker, clock, 1)


def test_after_the_last_answer_a_client_has_two_seconds_to_close(
    worker: GatheringWorker, clock: Clock, client: socket.socket
) -> None:
    client.sendall(b"x" * (MAX_HEAD_BYTES + 1))
    run_loop_until(worker, lambda: only_connection(worker).is_leaving)
    assert client.recv(12) == b"HTTP/1.1 414"
    assert_waits(worker, clock, 2)


def test_a_client_may_block_a_thread_for_20_seconds(
    worker: GatheringWorker, clock: Clock, client: socket.socket
) -> None:
    client.sendall(head("POST /read HTTP/1.1", "Content-Length: 70000") + b"12345")
    run_loop_until(worker, lambda: worker.working and only_connection(worker).deadline < math.inf)
    conn = only_connection(worker)
    clock.advance(19.4)
    run_loop_once(worker)
    assert conn in worker.working
    clock.advance(0.7)
    run_loop_until(worker, lambda: conn not in worker.working)
    assert client.recv(1) in (b"", b"H")  # the end, or gunicorn's answer to half a body


def test_a_body_has_ten_seconds_to_arrive_after_100(
    worker: GatheringWorker, clock: Clock, client: socket.socket
) -> None:
    client.sendall(head("POST /read HTTP/1.1", "Content-Length: 5", "Expect: 100-continue"))
    run_loop_until(worker, lambda: worker.polling and only_connection(worker).whole_bytes)
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert_waits(worker, clock, 10)


def test_a_client_of_http_1_0_gets_no_100_and_its_body_has_the_same_time(
    worker: GatheringWorker, clock: Clock, client: socket.socket
) -> None:
    """It would take the 100 for its answer (RFC 9110, 10.1.1)."""
    client.sendall(head("POST /read HTTP/1.0", "Content-Length: 5", "Expect: 100-continue"))
    run_loop_until(worker, lambda: worker.polling and only_connection(worker).whole_bytes)
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(1)
    assert_waits(worker, clock, 10)


def test_chunks_beyond_the_cap_are_refused_and_no_thread_waits_for_their_end(
    worker: GatheringWorker, client: socket.socket
) -> None:
    client.sendall(head("POST /read HTTP/1.1", "Transfer-Encoding: chunked") + b"7fffffff\r\n" + bytes(200_000))
    run_loop_until(worker, lambda: only_connection(worker).is_cut)
    run_loop_until(worker, lambda: not worker.working)


def test_at_the_limit_a_client_that_has_just_come_has_a_second_while_threads_answer_the_others(
    worker: GatheringWorker, clock: Clock, client: socket.socket
) -> None:
    worker.worker_connections = 2
    client.sendall(head("POST /read HTTP/1.1", "Content-Length: 70000") + b"12345")
    run_loop_until(worker, lambda: worker.working)
    with connect(worker) as newcomer:
        clock.advance(0.9)
        run_loop_once(worker)
        assert len(worker.polling) == 1
        clock.advance(0.2)
        run_loop_once(worker)
        assert len(worker.polling) == 0
        assert newcomer.recv(1) == b""
    assert len(worker.working) == 1


def test_without_a_descriptor_a_client_that_has_just_come_makes_room_at_once(
    worker: GatheringWorker, client: socket.socket
) -> None:
    client.sendall(head("POST /read HTTP/1.1", "Content-Length: 70000") + b"12345")
    run_loop_until(worker, lambda: worker.working)
    with connect(worker) as newcomer:
        worker.is_full = True
        run_loop_once(worker)
        assert newcomer.recv(1) == b""


def test_a_stopping_worker_closes_no_client_to_make_room(worker: GatheringWorker) -> None:
    worker.worker_connections = 2
    with connect(worker), connect(worker):
        worker.alive = False
        run_loop_once(worker)
        assert len(worker.polling) == 2


def test_at_the_limit_the_first_of_many_that_have_just_come_makes_room(worker: GatheringWorker) -> None:
    worker.worker_connections = 3
    with connect(worker) as first, connect(worker), connect(worker):
        run_loop_once(worker)
        assert first.recv(1) == b""
        assert len(worker.polling) == 2


def test_a_stopping_worker_gives_a_client_that_it_still_answers_no_longer_than_an_idle_one(
    worker: GatheringWorker, clock: Clock, client: socket.socket
) -> None:
    client.sendall(head("GET /here HTTP/1.1") + b"G")
    run_loop_until(worker, lambda: worker.working)
    assert b"keep-alive" in client.recv(1000)
    worker.alive = False
    run_loop_until(worker, lambda: worker.polling)
    assert_waits(worker, clock, LINGER)


def test_a_client_that_does_not_close_delays_a_stop_no_longer_than_an_idle_one(
    worker: GatheringWorker, clock: Clock, client: socket.socket
) -> None:
    worker.leave_seconds = 600.0
    worker.alive = False
    client.sendall(head("GET /here HTTP/1.1"))
    run_loop_until(worker, lambda: worker.polling and only_connection(worker).is_leaving)
    assert_waits(worker, clock, LINGER)
