"""Clients that wait for a picture hold no thread of the server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from blinker import NamedSignal
from flask import Flask

from tests.support.apps import make_patient_app
from tests.support.clock import Clock
from tests.support.raw_http import head
from tests.support.web_memory import hear_purges, keep_in_memory
from tests.support.web_parts import (
    MakeApp,
    body_of,
    file_url,
    new_file_id,
    queued,
    store_picture,
)
from tests.support.worker_loop import Visitor, open_worker, run_once, run_until, visit
from web import signals
from web.server.worker import PhotoWorker
from web.wiring import get_web_context

WEBP = "Accept: image/webp"
ALIVE = head("GET /healthz HTTP/1.1")
THREADS, MANY = 4, 40  # one thread may look


@pytest.fixture
def app(redis: object, telegram: object, make_app: MakeApp) -> Flask:
    """The web tier without a worker, with a wait longer than anything takes here."""
    app = make_patient_app(make_app)
    hear_purges(app)
    return app


@pytest.fixture
def worker(app: Flask) -> Iterator[PhotoWorker]:
    with open_worker(app, clock=Clock(), threads=THREADS) as worker:  # no deadline passes on a busy machine
        yield worker


def ask_for(file_id: str, *fields: str) -> bytes:
    return head(f"GET {file_url(file_id)} HTTP/1.1", WEBP, *fields)


def wait_in(worker: PhotoWorker, *visitors: Visitor, file_id: str) -> None:
    """Let these clients ask for a cold picture; then they wait, and no thread does."""
    already = len(worker.parked)
    for visitor in visitors:
        visitor.sock.sendall(ask_for(file_id))
    run_until(worker, lambda: len(worker.parked) == already + len(visitors))
    run_until(worker, lambda: not is_looking(worker))


def is_looking(worker: PhotoWorker) -> bool:
    assert worker.flights
    return any(flight.is_looking for flight in worker.flights._flights.values())


def store_and_announce(app: Flask, file_id: str) -> None:
    store_picture(app, file_id)
    get_web_context(app).photos.store.announce(file_id, "stored")


def test_a_client_gets_its_picture_when_it_is_done(app: Flask, worker: PhotoWorker) -> None:
    with visit(worker) as visitor:
        wait_in(worker, visitor, file_id=(file_id := new_file_id()))
        assert (queued(app, "hot"), len(worker.working)) == ([file_id], 0)
        store_and_announce(app, file_id)
        answer = visitor.receive()
        assert (answer.status, answer.body) == (200, body_of(file_id))
        assert answer.headers["cache-status"] == "avatar-warmer; fwd=miss"
        timings = answer.headers["server-timing"].split(", ")
        assert [one.partition(";")[0] for one in timings] == ["redis", "wait", "total"]
        assert visitor.ask(ask_for(file_id)).headers["cache-status"] == "avatar-warmer; hit"


def test_many_clients_of_one_picture_are_one_look_and_one_message(app: Flask, worker: PhotoWorker) -> None:
    with ExitStack() as clients:
        visitors = [clients.enter_context(visit(worker)) for _ in range(MANY)]
        other = clients.enter_context(visit(worker))
        wait_in(worker, *visitors, file_id=(file_id := new_file_id()))
        assert other.ask(ALIVE).status == 200  # the threads are free
        store_and_announce(app, file_id)
        answers = [visitor.receive() for visitor in visitors]
    assert {(answer.status, answer.body) for answer in answers} == {(200, body_of(file_id))}
    assert len({answer.headers["x-request-id"] for answer in answers}) == MANY
    assert queued(app, "hot") == [file_id]
    assert not worker.parked


def test_clients_of_many_pictures_leave_the_threads_free(app: Flask, worker: PhotoWorker) -> None:
    file_ids = [new_file_id() for _ in range(4 * THREADS)]
    with ExitStack() as clients:
        visitors = {file_id: clients.enter_context(visit(worker)) for file_id in file_ids}
        for file_id, visitor in visitors.items():
            wait_in(worker, visitor, file_id=file_id)
        assert clients.enter_context(visit(worker)).ask(ALIVE).status == 200
        for file_id, visitor in visitors.items():
            store_and_announce(app, file_id)
            assert visitor.receive().body == body_of(file_id)


def test_a_lost_message_is_made_up_for_by_the_next_look(app: Flask, worker: PhotoWorker) -> None:
    with visit(worker) as visitor:
        wait_in(worker, visitor, file_id=(file_id := new_file_id()))
        store_picture(app, file_id)
        assert visitor.receive().status == 200


@pytest.mark.usefixtures("redis", "telegram")
def test_a_client_waits_no_longer_than_it_may(make_app: MakeApp) -> None:
    clock = Clock()
    app = make_app(photo_wait=2, clock=clock)
    with open_worker(app) as worker, visit(worker) as visitor:
        wait_in(worker, visitor, file_id=new_file_id())
        clock.advance(1.9)
        run_until(worker, lambda: not is_looking(worker))
        visitor.read()
        assert visitor.received == b""
        clock.advance(0.2)
        assert visitor.receive().status == 503


def test_a_picture_that_redis_has_needs_no_wait_and_is_then_in_memory(app: Flask, worker: PhotoWorker) -> None:
    file_id = store_picture(app)
    with visit(worker) as visitor:
        answers = [visitor.ask(ask_for(file_id)) for _ in range(2)]
    assert [answer.headers["cache-status"] for answer in answers] == ["avatar-warmer; hit"] * 2
    assert ["redis" in answer.headers["server-timing"] for answer in answers] == [True, False]


def test_what_the_client_sends_while_it_waits_is_answered_afterwards(app: Flask, worker: PhotoWorker) -> None:
    keep_in_memory(app, file_url(hot := store_picture(app)), "image/webp")
    with visit(worker) as visitor:
        wait_in(worker, visitor, file_id=(cold := new_file_id()))
        visitor.sock.sendall(ask_for(hot) + ALIVE)
        for _ in range(3):
            run_once(worker)
        visitor.read()
        assert visitor.received == b""
        store_and_announce(app, cold)
        assert [visitor.receive().body for _ in range(3)] == [body_of(cold), body_of(hot), b'{"status":"ok"}\n']


def test_a_client_that_has_ended_its_side_still_gets_its_answer(app: Flask, worker: PhotoWorker) -> None:
    with visit(worker) as visitor:
        visitor.sock.sendall(ask_for(file_id := new_file_id()))
        visitor.sock.shutdown(socket.SHUT_WR)
        run_until(worker, lambda: len(worker.parked) == 1)
        store_and_announce(app, file_id)
        assert visitor.receive().body == body_of(file_id)
        run_until(worker, lambda: worker.nr_conns == 0)


def test_a_client_that_goes_away_costs_the_others_nothing(app: Flask, worker: PhotoWorker) -> None:
    with visit(worker) as stays:
        file_id = new_file_id()
        with visit(worker) as leaves:
            wait_in(worker, leaves, stays, file_id=file_id)
        store_and_announce(app, file_id)
        assert stays.receive().body == body_of(file_id)
        run_until(worker, lambda: worker.nr_conns == 1)


def test_beyond_the_limit_a_client_waits_in_a_thread(app: Flask, worker: PhotoWorker) -> None:
    worker.waiting_max = 1
    with visit(worker) as first, visit(worker) as second:
        wait_in(worker, first, file_id=(file_id := new_file_id()))
        second.sock.sendall(ask_for(file_id))
        run_until(worker, lambda: len(worker.working) == 1)
        store_and_announce(app, file_id)
        assert [visitor.receive().body for visitor in (first, second)] == [body_of(file_id)] * 2


def test_clients_that_have_left_make_room_for_others(app: Flask, worker: PhotoWorker) -> None:
    worker.waiting_max = 3
    file_id = new_file_id()
    with visit(worker) as stays, visit(worker) as comes:
        with visit(worker) as leaves, visit(worker) as leaves_too:
            wait_in(worker, leaves, stays, leaves_too, file_id=file_id)
        comes.sock.sendall(ask_for(file_id))
        run_until(worker, lambda: worker.nr_conns == 2)
        assert (len(worker.parked), len(worker.working)) == (2, 0)
        store_and_announce(app, file_id)
        assert [visitor.receive().body for visitor in (stays, comes)] == [body_of(file_id)] * 2


def test_a_worker_that_stops_answers_the_clients_that_wait(app: Flask, worker: PhotoWorker) -> None:
    with visit(worker) as visitor:
        wait_in(worker, visitor, file_id=(file_id := new_file_id()))
        worker.alive = False
        store_and_announce(app, file_id)
        assert visitor.receive().status == 200
        run_until(worker, lambda: worker.nr_conns == 0)  # after a moment for a last request


@pytest.mark.usefixtures("redis", "telegram")
def test_looks_that_hang_leave_threads_for_other_requests(make_app: MakeApp) -> None:
    clock = Clock()
    app = make_app(photo_wait=10, clock=clock)
    hear_purges(app)
    photos, file_ids = get_web_context(app).photos, [store_picture(app) for _ in range(3 * THREADS)]
    with open_worker(app, clock=clock, threads=THREADS) as worker, ExitStack() as clients:
        with photos.cache._lock:  # no look ends without it
            for file_id in file_ids:
                clients.enter_context(visit(worker)).sock.sendall(ask_for(file_id))
            run_until(worker, lambda: len(worker.parked) == 3 * THREADS)
            assert clients.enter_context(visit(worker)).ask(ALIVE).status == 200
        run_until(worker, lambda: not worker.parked)


@pytest.mark.usefixtures("redis", "telegram")
def test_a_look_that_hangs_holds_its_clients_no_longer_than_a_thread_and_later_ones_not_at_all(
    make_app: MakeApp,
) -> None:
    clock = Clock()
    app = make_app(photo_wait=10, clock=clock)
    hear_purges(app)
    cache, file_id = get_web_context(app).photos.cache, store_picture(app)
    with (
        open_worker(app, clock=clock, threads=THREADS) as worker,
        visit(worker) as early,
        visit(worker) as second,
        visit(worker) as late,
    ):
        with cache._lock:
            early.sock.sendall(ask_for(file_id))
            run_until(worker, lambda: len(worker.parked) == 1)
            second.sock.sendall(ask_for(file_id))
            run_until(worker, lambda: len(worker.parked) == 2)
            clock.advance(6)
            late.sock.sendall(ask_for(file_id))
            run_until(worker, lambda: len(worker.working) == 1)
            clock.advance(14.5)
            run_until(worker, lambda: early.sees_the_end() and second.sees_the_end())
            assert (len(worker.parked), worker.nr_conns) == (0, 1)
        assert late.receive().body == body_of(file_id)  # and the answers of the look find no client
        run_until(worker, lambda: not is_looking(worker))
        assert worker.nr_conns == 1


@pytest.mark.parametrize("signal", signals.PHOTO_SIGNALS, ids=lambda signal: signal.name)
def test_with_a_listener_of_the_users_own_clients_wait_in_threads(
    app: Flask, worker: PhotoWorker, signal: NamedSignal
) -> None:
    """It may take long, and would run for one client after the other."""
    with signal.connected_to(lambda *_, **__: None, sender=app), visit(worker) as visitor:
        visitor.sock.sendall(ask_for(file_id := new_file_id()))
        run_until(worker, lambda: len(worker.working) == 1 and queued(app, "hot") == [file_id])
        assert not worker.parked
        store_and_announce(app, file_id)
        assert visitor.receive().body == body_of(file_id)
