"""The loop answers hits itself, whatever the client does. Nothing else changes for the client."""

from __future__ import annotations

import os
import select
import selectors
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest
from flask import Flask

from tests.support.clock import Clock
from tests.support.raw_http import head
from tests.support.web_memory import hear_purges, keep_in_memory
from tests.support.web_parts import MakeApp, body_of, file_url, store_picture
from tests.support.worker_loop import Visitor, list_connections, open_worker, run_once, run_until, used_threads, visit
from web import signals
from web.photos.cache import Answer
from web.server.gathering import MethodQueue
from web.server.worker import PhotoWorker, start_threads
from web.wiring import get_web_context

WEBP = "Accept: image/webp"
LARGE_BYTES = 4 * 2**20  # more than all buffers between a server and a client on one machine
ALIVE = head("GET /healthz HTTP/1.1")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def worker(app: Flask, clock: Clock) -> Iterator[PhotoWorker]:
    with open_worker(app, clock=clock) as worker:
        yield worker


@pytest.fixture
def file_id(app: Flask) -> str:
    """A picture in memory."""
    file_id = store_picture(app)
    keep_in_memory(app, file_url(file_id), "image/webp")
    return file_id


@pytest.fixture
def hit(file_id: str) -> bytes:
    """A request that is a hit."""
    return head(f"GET {file_url(file_id)} HTTP/1.1", WEBP)


@pytest.fixture
def large_hit(app: Flask) -> bytes:
    """The same with an answer that no client takes at once."""
    hear_purges(app)
    photos, file_id = get_web_context(app).photos, store_picture(app)
    path, _, query = (url := file_url(file_id)).partition("?")
    headers = [("Content-Type", "image/webp"), ("Content-Length", str(LARGE_BYTES))]
    large = Answer('"large"', headers, headers, bytes(LARGE_BYTES), photos.clock(), frozenset({file_id}))
    photos.cache.put(photos.request_parser.read(path, query, "image/webp"), large, photos.cache.get_generation())
    return head(f"GET {url} HTTP/1.1", WEBP)


def test_every_hit_of_a_connection_is_answered_without_a_thread(worker: PhotoWorker, file_id: str, hit: bytes) -> None:
    with visit(worker) as visitor:
        first = visitor.ask(hit)
        answers = [visitor.ask(hit), visitor.ask(hit.replace(b"GET", b"HEAD"), "HEAD")]
        etag = first.headers["etag"]
        unchanged = visitor.ask(head(f"GET {file_url(file_id)} HTTP/1.1", WEBP, f"If-None-Match: {etag}"))
    assert [one.body for one in (first, *answers, unchanged)] == [body_of(file_id)] * 2 + [b"", b""]
    assert (first.status, unchanged.status) == (200, 304)
    assert first.headers["cache-status"] == "avatar-warmer; hit"
    assert used_threads(worker) == 0


def test_a_hit_may_arrive_in_pieces(worker: PhotoWorker, hit: bytes) -> None:
    with visit(worker) as visitor:
        for at in range(0, len(hit), 10):
            visitor.sock.sendall(hit[at : at + 10])
            run_once(worker)
        assert visitor.receive().status == 200
        visitor.sock.sendall(hit[:30])  # and on an idle connection
        run_once(worker)
        assert visitor.ask(hit[30:]).status == 200
    assert used_threads(worker) == 0


def test_requests_in_one_packet_are_answered_in_their_order(worker: PhotoWorker, file_id: str, hit: bytes) -> None:
    with visit(worker) as visitor:
        visitor.sock.sendall(hit + ALIVE + hit + hit.replace(b"GET", b"HEAD") + ALIVE)
        answers = [visitor.receive(method) for method in ("GET", "GET", "GET", "HEAD", "GET")]
    picture, alive = body_of(file_id), b'{"status":"ok"}\n'
    assert [answer.body for answer in answers] == [picture, alive, picture, b"", alive]


def test_hits_and_other_requests_alternate_on_a_connection(worker: PhotoWorker, hit: bytes) -> None:
    with visit(worker) as visitor:
        requests = [hit, ALIVE, hit, head("GET /nowhere HTTP/1.1"), hit, ALIVE]
        assert [visitor.ask(request).status for request in requests] == [200, 200, 200, 404, 200, 200]
        run_until(worker, lambda: len(worker.keepalived_conns) == 1)
        assert worker.nr_conns == 1


def test_a_thread_that_gets_no_turn_ends_no_connection(worker: PhotoWorker) -> None:
    worker.drain_seconds = 0.0
    put = head("PUT /api/partner/1 HTTP/1.1", "Content-Length: 3")  # refused before its body is read
    with visit(worker) as visitor:
        statuses = [visitor.ask(request).status for request in (ALIVE, put + b"abc", ALIVE)]
    assert statuses == [200, 401, 200]


def test_a_body_that_the_app_does_not_read_may_arrive_in_pieces(worker: PhotoWorker) -> None:
    worker.drain_seconds = 60.0
    with visit(worker) as visitor:
        visitor.sock.sendall(head("GET /healthz HTTP/1.1", "Content-Length: 3"))
        for piece in (b"a", b"b"):
            for _ in range(5):
                run_once(worker)
            visitor.sock.sendall(piece)
        visitor.sock.sendall(b"c" + ALIVE)
        assert [visitor.receive().status for _ in range(2)] == [200, 200]


def test_a_body_that_arrives_byte_by_byte_holds_no_thread(worker: PhotoWorker) -> None:
    with visit(worker) as visitor:
        visitor.sock.sendall(head("GET /healthz HTTP/1.1", "Content-Length: 1000000"))
        run_until(worker, lambda: worker.working)

        for _ in range(1000):  # too few for the parser to return
            if worker.working:
                visitor.sock.sendall(b"x")
                run_once(worker)
        assert not worker.working
        run_until(worker, visitor.sees_the_end)


@pytest.mark.parametrize(
    ("line", "fields", "connection"),
    [("HTTP/1.0", [], "close"), ("HTTP/1.1", ["Connection: close"], "close"), ("HTTP/1.1", ["X_Y: 1"], "keep-alive")],
)
def test_what_is_not_plain_takes_the_ordinary_way(
    worker: PhotoWorker, file_id: str, line: str, fields: list[str], connection: str
) -> None:
    with visit(worker) as visitor:
        answer = visitor.ask(head(f"GET {file_url(file_id)} {line}", WEBP, *fields))
    assert (answer.status, answer.body, answer.headers["connection"]) == (200, body_of(file_id), connection)
    assert used_threads(worker) == 1


def test_a_client_that_takes_an_answer_slowly_gets_all_of_it_and_holds_no_thread(
    worker: PhotoWorker, hit: bytes, large_hit: bytes
) -> None:
    with visit(worker) as slow, visit(worker) as other:
        slow.sock.sendall(large_hit)
        run_until(worker, lambda: any(conn.unsent for conn in list_connections(worker)))
        slow.sock.sendall(hit)  # read only when the first has its answer
        for _ in range(20):
            assert other.ask(hit).status == 200
        assert sum(bool(conn.unsent) for conn in list_connections(worker)) == 1
        assert slow.receive().body == bytes(LARGE_BYTES)
        assert slow.receive().status == 200
        assert not any(conn.unsent for conn in list_connections(worker))
    assert used_threads(worker) == 0


def test_a_client_that_does_not_take_its_answer_is_cut_off_after_ten_seconds(
    worker: PhotoWorker, clock: Clock, large_hit: bytes
) -> None:
    with visit(worker) as slow:
        slow.sock.sendall(large_hit)
        run_until(worker, lambda: any(conn.unsent for conn in list_connections(worker)))
        clock.advance(9.4)
        run_once(worker)
        assert worker.nr_conns == 1
        clock.advance(0.7)
        run_once(worker)
        assert worker.nr_conns == 0


def test_the_next_request_of_a_client_waits_in_the_loop_until_it_reads_the_answers_of_threads(
    app: Flask, worker: PhotoWorker
) -> None:
    """A thread would give up on the client after a moment."""
    app.add_url_rule("/long", "long", lambda: bytes(100_000))
    with visit(worker) as late:
        late.sock.sendall(head("GET /long HTTP/1.1") * 20)  # more than all buffers take
        [conn] = list_connections(worker)
        run_until(worker, lambda: conn.polled == selectors.EVENT_WRITE or conn.is_leaving)
        assert not conn.is_leaving
        assert [len(late.receive().body) for _ in range(20)] == [100_000] * 20


def test_clients_that_send_hits_and_read_nothing_take_no_memory_without_bound(
    worker: PhotoWorker, large_hit: bytes
) -> None:
    with visit(worker) as greedy:
        for _ in range(5):
            greedy.sock.sendall(large_hit)
            run_once(worker)
        [conn] = list_connections(worker)
        assert 0 < len(conn.unsent) < LARGE_BYTES  # of one answer; the other requests are in the kernel
        assert not conn.received


@pytest.mark.parametrize("is_first", [True, False])
def test_a_client_that_is_gone_ends_nothing_else(worker: PhotoWorker, hit: bytes, is_first: bool) -> None:
    with visit(worker) as other:
        with visit(worker) as gone:
            if not is_first:
                assert gone.ask(hit).status == 200
            gone.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            gone.sock.sendall(hit)
        run_until(worker, lambda: worker.nr_conns == 1)
        assert other.ask(hit).status == 200


def test_a_client_that_ends_its_side_gets_its_answer_and_then_the_end(worker: PhotoWorker, hit: bytes) -> None:
    with visit(worker) as visitor:
        visitor.sock.sendall(hit)
        visitor.sock.shutdown(socket.SHUT_WR)
        assert visitor.receive().status == 200
        run_until(worker, visitor.sees_the_end)
    assert (worker.nr_conns, used_threads(worker)) == (0, 0)


def test_a_hit_makes_a_connection_the_last_one_that_is_closed_for_being_idle(worker: PhotoWorker, hit: bytes) -> None:
    with ExitStack() as clients:
        first, second, third = (clients.enter_context(visit(worker)) for _ in range(3))
        for visitor in (first, second, third, first):
            assert visitor.ask(hit).status == 200
        idle = [conn.client for conn in worker.keepalived_conns]
        assert idle == [visitor.sock.getsockname() for visitor in (second, third, first)]
        for conn in list(worker.keepalived_conns)[:2]:
            conn.timeout = 0.0
        worker.murder_keepalived()
        assert worker.nr_conns == 1
        assert first.ask(hit).status == 200


def test_a_worker_that_stops_tells_its_clients_to_close(worker: PhotoWorker, hit: bytes) -> None:
    with visit(worker) as visitor:
        assert visitor.ask(hit).headers["connection"] == "keep-alive"
        worker.alive = False
        assert visitor.ask(hit).headers["connection"] == "close"


def test_a_stopping_worker_lets_a_client_read_its_answer(worker: PhotoWorker, clock: Clock) -> None:
    answer = head("HTTP/1.1 200 OK", f"Content-Length: {LARGE_BYTES}", host="") + bytes(LARGE_BYTES)
    with visit(worker) as slow:
        [conn] = worker.polling
        worker.alive = False
        worker._send(conn, answer)
        clock.advance(9)
        run_once(worker)
        assert slow.receive().body == bytes(LARGE_BYTES)


def test_a_listener_of_the_users_own_hears_of_every_hit_in_a_thread(
    app: Flask, worker: PhotoWorker, file_id: str, hit: bytes
) -> None:
    heard: list[str] = []
    with (
        signals.photo_served.connected_to(lambda _, **payload: heard.append(payload["subject"]), sender=app),
        visit(worker) as visitor,
    ):
        answers = [visitor.ask(hit) for _ in range(3)]
    assert [answer.headers["cache-status"] for answer in answers] == ["avatar-warmer; hit"] * 3
    assert heard == [file_id] * 3
    assert used_threads(worker) > 0


def connect_many(worker: PhotoWorker, clients: ExitStack, hit: bytes, number: int) -> list[Visitor]:
    """Connect clients that are idle for a while. Returns them; the first has been idle longest."""
    visitors = [clients.enter_context(visit(worker)) for _ in range(number)]
    assert [visitor.ask(hit).status for visitor in visitors] == [200] * number
    for conn in worker.keepalived_conns:
        conn.timeout -= 2.0
    return visitors


def test_at_the_limit_the_connection_idle_longest_makes_room_for_a_new_client(worker: PhotoWorker, hit: bytes) -> None:
    worker.worker_connections = 4
    with ExitStack() as clients:
        first, *others = connect_many(worker, clients, hit, 3)
        newcomer = clients.enter_context(visit(worker))
        run_until(worker, first.sees_the_end)
        run_once(worker)  # the newcomer takes its time
        assert [visitor.ask(hit).status for visitor in (newcomer, *others)] == [200] * 3


def test_at_the_limit_a_download_goes_on(worker: PhotoWorker, hit: bytes, large_hit: bytes) -> None:
    worker.worker_connections = 3
    with ExitStack() as clients:
        slow = clients.enter_context(visit(worker))
        slow.sock.sendall(large_hit)
        run_until(worker, lambda: any(conn.unsent for conn in list_connections(worker)))
        [idle] = connect_many(worker, clients, hit, 1)
        newcomer = clients.enter_context(visit(worker))
        run_until(worker, idle.sees_the_end)
        assert newcomer.ask(hit).status == 200
        assert slow.receive().body == bytes(LARGE_BYTES)


def test_at_the_limit_a_download_outlasts_a_connection_that_was_just_used(
    worker: PhotoWorker, clock: Clock, hit: bytes, large_hit: bytes
) -> None:
    with visit(worker) as slow, visit(worker) as idle:
        slow.sock.sendall(large_hit)
        run_until(worker, lambda: any(conn.unsent for conn in list_connections(worker)))
        clock.advance(2)
        assert idle.ask(hit).status == 200
        worker.worker_connections = 2
        run_until(worker, idle.sees_the_end)
        assert slow.receive().body == bytes(LARGE_BYTES)


def test_at_the_limit_without_idle_connections_the_slowest_request_ends(
    worker: PhotoWorker, clock: Clock, hit: bytes
) -> None:
    worker.worker_connections = 3
    with visit(worker) as silent, visit(worker) as slow:
        slow.sock.sendall(hit[:30])
        run_once(worker)
        clock.advance(2)
        with visit(worker) as newcomer:
            run_until(worker, silent.sees_the_end)
            assert newcomer.ask(hit).status == 200
            assert slow.ask(hit[30:]).status == 200


def test_all_threads_start_before_the_first_request(worker: PhotoWorker) -> None:
    start_threads(worker.tpool, 4)
    assert used_threads(worker) == 4


def test_a_call_for_the_loop_after_its_end_writes_to_no_other_file() -> None:
    queue = MethodQueue()
    queue.init()
    queue.close()
    pipes = [os.pipe() for _ in range(4)]  # they get the numbers that are free now
    try:
        queue.defer(lambda: None)
        readers = [reader for reader, _ in pipes]
        assert select.select(readers, [], [], 0)[0] == []
    finally:
        for number in (number for pipe in pipes for number in pipe):
            os.close(number)


class Proxy:
    """Passes on the attributes of an app, as monitoring agents do."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)

    def __call__(self, *args: Any) -> Any:
        return self.app(*args)


def test_an_app_in_a_proxy_has_no_fast_path(app: Flask) -> None:
    with open_worker(cast(Flask, Proxy(app))) as worker:
        assert worker.fast_path is None


@pytest.mark.usefixtures("redis", "telegram")
def test_an_app_with_something_in_front_of_the_pictures_has_no_fast_path(make_app: MakeApp) -> None:
    app = make_app()
    inner = app.wsgi_app
    app.wsgi_app = lambda environ, start_response: inner(environ, start_response)  # type: ignore[method-assign]
    with open_worker(app) as worker:
        assert worker.fast_path is None
        with visit(worker) as visitor:
            assert visitor.ask(ALIVE).status == 200


@pytest.mark.usefixtures("redis", "telegram")
def test_a_demo_answers_hits_under_its_own_names_alone(make_app: MakeApp) -> None:
    app = make_app(demo=True, host="127.0.0.1")
    line = f"GET {file_url(store_picture(app))} HTTP/1.1"
    with open_worker(app) as worker, visit(worker) as visitor:
        hosts = ["127.0.0.1", "127.0.0.1", "evil.example"]
        assert [visitor.ask(head(line, WEBP, host=host)).status for host in hosts] == [200, 200, 403]
