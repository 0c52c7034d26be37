"""A request for a cold picture: it enqueues, waits a bounded time and is woken; the number of waits is bounded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import wait_until
from tests.support.apps import make_patient_app
from tests.support.clock import Clock
from tests.support.web_parts import (
    MakeApp,
    body_of,
    file_url,
    leave_no_place,
    new_file_id,
    queued,
    store_picture,
    store_unavailable,
)
from warmer.errors import InvalidFileId
from web.photos.waiting import LOOK_SECONDS, Overloaded, Waiting
from web.wiring import PLACES, THREADS, get_web_context


@contextmanager
def waiting_client(app: Flask) -> Iterator[tuple[str, Any]]:
    """A client waits for a cold picture. Yields its file id and the future of the answer."""
    file_id = new_file_id()
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(app.test_client().get, file_url(file_id))
        wait_until(lambda: queued(app, "hot") == [file_id])
        yield file_id, answer


@pytest.fixture
def app(redis: object, telegram: object, make_app: MakeApp) -> Flask:
    """The web tier without a worker."""
    return make_patient_app(make_app)


@pytest.fixture
def waiting(clock: Clock) -> Waiting:
    """A waiting room whose pauses take no time."""
    return Waiting(2.0, PLACES, clock=clock, pause=lambda _, seconds: clock.sleep(seconds))


# Wake-ups


@pytest.mark.usefixtures("is_subscribed")
def test_done_wakes_a_waiting_request_at_once(app: Flask, pauses: list[bool]) -> None:
    with waiting_client(app) as (file_id, answer):
        store_picture(app, file_id)
        get_web_context(app).photos.store.announce(file_id, "stored")
        assert answer.result().data == body_of(file_id)
    assert pauses == [True]
    assert answer.result().headers["Cache-Status"] == "avatar-warmer; fwd=miss"
    assert "wait;dur=" in answer.result().headers["Server-Timing"]


def test_a_lost_done_is_compensated_by_the_next_read(app: Flask) -> None:
    with waiting_client(app) as (file_id, answer):
        store_picture(app, file_id)
        assert answer.result().status_code == 200


def test_an_unavailable_picture_ends_the_wait_with_404(app: Flask, client: FlaskClient) -> None:
    with waiting_client(app) as (file_id, answer):
        store_unavailable(app, file_id, InvalidFileId("x"))
        get_web_context(app).photos.store.announce(file_id, "unavailable")
        assert answer.result().status_code == 404


def test_a_forgotten_picture_ends_the_wait_with_404(app: Flask, client: FlaskClient) -> None:
    with waiting_client(app) as (file_id, answer):
        get_web_context(app).photos.store.forget(file_id)
        assert answer.result().status_code == 404


@pytest.mark.usefixtures("is_subscribed")
def test_a_postponed_picture_ends_the_wait_with_503(app: Flask, client: FlaskClient, pauses: list[bool]) -> None:
    with waiting_client(app) as (file_id, answer):
        get_web_context(app).photos.store.announce(file_id, "postponed")
        assert (answer.result().status_code, answer.result().headers["Retry-After"]) == (503, "1")
    assert pauses == [True]


def wait_for_pictures(clock: Clock, postponed: str, *awaited: str) -> int:
    """Wait for the id 42, while each request is for the next of these. Returns the number of requests."""
    requests: list[str] = []

    def request() -> str:
        requests.append(awaited[min(len(requests), len(awaited) - 1)])
        return requests[-1]

    def pause(_: threading.Event, seconds: float) -> None:
        place.wake(f"{postponed} postponed")
        clock.sleep(seconds)

    place = Waiting(8 * LOOK_SECONDS, PLACES, clock=clock, pause=pause)
    assert place.wait_for({"user:42", "old"}, lambda: None, request) is None
    assert not place._waiters
    return len(requests)


def test_only_the_picture_that_is_awaited_ends_the_wait_when_it_is_postponed(clock: Clock) -> None:
    assert wait_for_pictures(clock, "old", "user:42") == 9
    assert wait_for_pictures(clock, "user:42", "user:42") == 1


def test_the_wait_follows_an_id_to_the_picture_that_it_shows_meanwhile(clock: Clock) -> None:
    assert wait_for_pictures(clock, "user:42", "user:42", "new") == 1
    assert wait_for_pictures(clock, "new", "user:42", "new") == 2
    assert wait_for_pictures(clock, "old", "user:42", "new") == 9


def test_a_message_about_another_picture_wakes_no_request(clock: Clock) -> None:
    woken: list[bool] = []

    def pause(news: threading.Event, seconds: float) -> None:
        for message in ("yours done", "", "\ufffd", "mine-too done"):
            place.wake(message)
        woken.append(news.is_set())
        clock.sleep(seconds)

    place = Waiting(LOOK_SECONDS, PLACES, clock=clock, pause=pause)
    assert place.wait_for({"mine"}, lambda: None, lambda: "mine") is None
    assert woken == [False]


def test_every_message_is_passed_on_to_a_server_that_holds_waiting_clients_itself(waiting: Waiting) -> None:
    heard: list[str] = []
    waiting.pass_on(heard.append)
    for message in ("mine done", "yours postponed"):
        waiting.wake(message)
    assert heard == ["mine done", "yours postponed"]


def test_the_wait_is_bounded_and_reads_four_times_a_second(waiting: Waiting, clock: Clock) -> None:
    looks: list[float] = []
    assert waiting.wait_for({"a"}, lambda: looks.append(clock()), lambda: "a") is None
    assert clock.slept == [LOOK_SECONDS] * 8
    assert len(looks) == 9  # the first read at once, the last at the end


def test_a_wait_shorter_than_the_read_interval_ends_in_time(clock: Clock) -> None:
    waiting = Waiting(0.1, PLACES, clock=clock, pause=lambda _, seconds: clock.sleep(seconds))
    assert waiting.wait_for({"a"}, lambda: None, lambda: "a") is None
    assert clock.slept == [pytest.approx(0.1)]


def test_a_request_registers_before_it_reads(clock: Clock) -> None:
    """Otherwise a message between the read and the wait would be lost."""
    looks: list[str] = []
    paused: list[bool] = []

    def look() -> str | None:
        looks.append("look")
        place.wake("mine done")  # arrives during the read
        return "found" if len(looks) == 2 else None

    place = Waiting(2.0, PLACES, clock=clock, pause=lambda news, _: paused.append(news.is_set()))
    assert place.wait_for({"mine"}, look, lambda: "mine") == "found"
    assert paused == [True]


def test_a_wait_cleans_up_however_it_ends(waiting: Waiting) -> None:
    assert waiting.wait_for({"a", "b"}, lambda: None, lambda: "c") is None
    with pytest.raises(ZeroDivisionError):
        waiting.wait_for({"a"}, lambda: 1 / 0, lambda: "a")
    assert not waiting._waiters
    assert waiting._places._value == PLACES


# The number of waiting requests


def test_half_of_the_threads_wait_and_other_requests_are_answered_at_once(app: Flask) -> None:
    web_context, file_ids = get_web_context(app), [new_file_id() for _ in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        answers = {pool.submit(app.test_client().get, file_url(file_id)): file_id for file_id in file_ids}
        wait_until(lambda: sum(answer.done() for answer in answers) == THREADS // 2)
        waiting = [answer for answer in answers if not answer.done()]
        for answer in waiting:
            web_context.photos.store.announce(answers[answer], "postponed")
    assert len(waiting) == THREADS // 2
    assert {answer.result().status_code for answer in answers} == {503}


def test_a_hit_needs_no_free_place(app: Flask, client: FlaskClient) -> None:
    leave_no_place(app)
    assert client.get(file_url(store_picture(app))).status_code == 200
    shed = client.get(file_url(file_id := new_file_id()))
    assert (shed.status_code, shed.headers["Retry-After"], shed.headers["Cache-Control"]) == (503, "1", "no-store")
    assert queued(app, "hot") == [file_id]  # still warmed: the client comes back in a second


def test_without_a_free_place_a_request_is_refused_without_a_look_and_warmed_for_the_next_try() -> None:
    waiting, requested = Waiting(2.0, places=0), iter(["a"])
    with pytest.raises(Overloaded):
        waiting.wait_for({"a"}, lambda: pytest.fail("looked"), lambda: next(requested))
    assert list(requested) == []


@pytest.mark.usefixtures("redis", "telegram")
def test_above_hot_max_a_miss_is_503_at_once_and_not_published(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(hot_max=2, photo_wait=0.1)
    client, file_ids = app.test_client(), [new_file_id() for _ in range(4)]
    for file_id in file_ids[:2]:
        client.get(file_url(file_id))
    monkeypatch.setattr(get_web_context(app).photos.waiting, "_pause", lambda *_: pytest.fail("waited"))
    shed = [client.get(file_url(file_id)) for file_id in file_ids[2:]]
    assert [(a.status_code, a.headers["Retry-After"], a.headers["Cache-Control"]) for a in shed] == [
        (503, "1", "no-store")
    ] * 2
    assert queued(app, "hot") == file_ids[:2]
    assert not get_web_context(app).redis.exists(get_web_context(app).keys.enqueued(file_ids[2], "hot"))


def test_a_request_enqueues_again_when_a_worker_ends_without_an_outcome(app: Flask) -> None:
    web_context = get_web_context(app)
    with waiting_client(app) as (file_id, answer):
        # As a worker does that finds the lease taken.
        web_context.redis.delete(web_context.keys.enqueued(file_id, "hot"))
        wait_until(lambda: queued(app, "hot") == [file_id] * 2)
        store_picture(app, file_id)
        assert answer.result().status_code == 200
