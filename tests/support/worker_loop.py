"""A worker of gunicorn in the test's own process: the test drives its loop, and is its clients."""

from __future__ import annotations

import logging
import os
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO

from flask import Flask
from gunicorn.config import Config

from tests.support.raw_http import RawAnswer, read_answer
from tests.support.waiting import wait_until
from web.server.connection import Connection
from web.server.worker import PhotoWorker


class WorkerLog(logging.Logger):
    """A log that has what gunicorn's has beyond Python's."""

    def access(self, *_: object) -> None:
        """A request has ended. Our service does not use gunicorn's access log."""


@contextmanager
def open_worker(app: Flask, *, clock: Callable[[], float] = time.monotonic, threads: int = 4) -> Iterator[PhotoWorker]:
    """A worker that serves this app. `clock` is that of its deadlines."""
    cfg = Config()
    cfg.set("threads", threads)
    cfg.set("keepalive", 600)  # seconds, by the real clock
    worker = PhotoWorker(1, os.getppid(), [], None, 30, cfg, WorkerLog("tests"))
    worker.clock = clock
    worker.wsgi = app
    worker.poller, worker.tpool = selectors.DefaultSelector(), worker.get_thread_pool()
    worker.method_queue.init()
    worker.poller.register(worker.method_queue.fileno(), selectors.EVENT_READ, worker.method_queue.run_callbacks)
    worker.open_fast_path()
    try:
        yield worker
    finally:
        worker.alive = False
        worker.tpool.shutdown()
        for conn in list_connections(worker):
            conn.cut_off()
            conn.close()
        worker.poller.close()
        worker.method_queue.close()
        worker.tmp.close()


def list_connections(worker: PhotoWorker) -> list[Connection]:
    """Every connection of the worker, those of waiting clients included."""
    return [*worker.polling, *worker.working, *worker.keepalived_conns, *worker.parked]


def run_once(worker: PhotoWorker) -> None:
    """One turn of the loop, as gunicorn's."""
    worker.wait_for_and_dispatch_events(0.01)
    worker.murder_keepalived()
    worker.murder_pending()


def run_until(worker: PhotoWorker, condition: Callable[[], object]) -> None:
    """Run the loop until the condition is true."""

    def check() -> object:
        run_once(worker)
        return condition()

    wait_until(check)


def used_threads(worker: PhotoWorker) -> int:
    """The number of threads that the pool has started: with the first request that needs one."""
    return len(worker.tpool._threads)


class Visitor:
    """A client of the worker. The loop runs while it waits for an answer."""

    def __init__(self, worker: PhotoWorker, sock: socket.socket) -> None:
        self.worker = worker
        self.sock = sock
        self.received = b""
        self.has_ended = False  # by the server

    def ask(self, data: bytes, method: str = "GET") -> RawAnswer:
        """Send a request. Returns its answer."""
        self.sock.sendall(data)
        return self.receive(method)

    def receive(self, method: str = "GET") -> RawAnswer:
        """Returns the next answer."""
        found: list[RawAnswer] = []

        def is_there() -> bool:
            self.read()
            if (split := split_answer(self.received, method)) is None:
                return False
            answer, self.received = split
            found.append(answer)
            return True

        run_until(self.worker, is_there)
        return found[0]

    def read(self) -> None:
        """Read what has arrived."""
        try:
            data = self.sock.recv(2**16)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        self.received += data
        self.has_ended = not data

    def sees_the_end(self) -> bool:
        """Whether the server has closed the connection."""
        self.read()
        return self.has_ended


def split_answer(data: bytes, method: str) -> tuple[RawAnswer, bytes] | None:
    """Returns the first answer and what follows it; None if it is not complete. It declares its length."""
    _head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    answer = read_answer(BytesIO(data), method)
    assert answer
    has_none = method == "HEAD" or answer.status == 304
    length = 0 if has_none else int(answer.headers["content-length"])
    return (answer, rest[length:]) if len(rest) >= length else None


@contextmanager
def visit(worker: PhotoWorker) -> Iterator[Visitor]:
    """A client whose connection the worker has accepted."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as sock:
        sock.setblocking(False)  # the loop runs in the same thread
        worker.accept(listener)
        yield Visitor(worker, sock)
