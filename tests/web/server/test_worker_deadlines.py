"""How long gunicorn's worker waits for a client, by a clock that the test moves."""

from __future__ import annotations

import logging
import math
import os
import selectors
import socket
from collections.abc import Callable, Iterator

import pytest
from gunicorn.config import Config

from tests.conftest import wait_until
from tests.support import plain_app
from tests.support.clock import Clock
from tests.support.raw_http import head
from web.server.connection import MAX_HEAD_BYTES, Connection
from web.server.worker import GatheringWorker


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def worker(clock: Clock) -> Iterator[GatheringWorker]:
    """A worker of this process, whose loop the test turns."""
    worker = GatheringWorker(1, os.getppid(), [], None, 30, Config(), logging.getLogger("tests"))
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


@pytest.fixture
def client(worker: GatheringWorker) -> Iterator[socket.socket]:
    """A client that the worker has accepted."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        client.settimeout(60)
        worker.accept(listener)
        yield client


def turn(worker: GatheringWorker) -> None:
    """One turn of the loop, as gunicorn makes it."""
    worker.wait_for_and_dispatch_events(0.01)
    worker.murder_pending()


def turn_until(worker: GatheringWorker, condition: Callable[[], object]) -> None:
    """Turn the loop until the condition is true."""

    def check() -> object:
        turn(worker)
        return condition()

    wait_until(check)


def only_connection(worker: GatheringWorker) -> Connection:
    [conn] = [*worker.polling, *worker.working]
    return conn


def assert_waits(worker: GatheringWorker, clock: Clock, seconds: float) -> None:
    """The client has so long, and no longer."""
    clock.advance(seconds - 0.6)
    turn(worker)
    assert worker.nr_conns == 1
    clock.advance(0.7)
    turn(worker)
    assert worker.nr_conns == 0


@pytest.mark.parametrize("data", [b"", b"GET /he"])
def test_a_request_has_ten_seconds_to_come(
    worker: GatheringWorker, clock: Clock, client: socket.socket, data: bytes
) -> None:
    client.sendall(data)
    assert_waits(worker, clock, 10)
    assert client.recv(1) == b""


def test_a_request_that_comes_in_pieces_has_no_longer(
    worker: GatheringWorker, clock: Clock, client: socket.socket
) -> None:
    for number in range(9):
        client.sendall(b"GET /here"[number : number + 1])
        clock.advance(1)
        turn(worker)
    assert_waits(worker, clock, 1)


def test_a_client_that_was_answered_for_the_last_time_has_two_seconds_to_close(
    worker: GatheringWorker, clock: Clock, client: socket.socket
) -> None:
    client.sendall(b"x" * (MAX_HEAD_BYTES + 1))
    turn_until(worker, lambda: only_connection(worker).is_leaving)
    assert client.recv(12) == b"HTTP/1.1 414"
    assert_waits(worker, clock, 2)


def test_a_thread_is_taken_from_a_client_after_twenty_seconds(
    worker: GatheringWorker, clock: Clock, client: socket.socket
) -> None:
    client.sendall(head("POST /read HTTP/1.1", "Transfer-Encoding: chunked") + b"5\r\n12")
    turn_until(worker, lambda: worker.working and only_connection(worker).deadline < math.inf)
    conn = only_connection(worker)
    clock.advance(19.4)
    turn(worker)
    assert conn in worker.working
    clock.advance(0.7)
    turn_until(worker, lambda: conn not in worker.working)
    assert client.recv(1) in (b"", b"H")  # its end, or what gunicorn says of half a body
