"""A request for a cold picture: it asks, waits a bounded while, and is woken; nobody waits in vain or in crowds."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from faketelegram import FakeTelegram
from tests.conftest import wait_until
from tests.support.clock import Clock
from tests.support.web_parts import (
    MakeApp,
    body_of,
    file_url,
    leave_no_place,
    new_file_id,
    new_id,
    queued,
    remember_none,
    shelve,
    user_url,
)
from warmer.errors import InvalidFileId
from web.photos.response import CACHE_CONTROL
from web.photos.waiting import LOOK_SECONDS, Overloaded, Waiting
from web.wiring import PLACES, THREADS, get_web_context


@contextmanager
def in_background(call: Any) -> Iterator[Any]:
    """The future of a call that runs beside this block."""
    with ThreadPoolExecutor() as pool:
        yield pool.submit(call)


@pytest.fixture
def app(redis: object, telegram: object, make_app: MakeApp) -> Flask:
    """The web tier without a worker, whose requests wait longer than anything here takes."""
    app = make_app(photo_wait=10)
    get_web_context(app).photos.waiting.wait_seconds = 60.0
    return app


@pytest.fixture
def pauses(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each pause of a waiting request whether news ended it: this app looks again for nothing else."""
    ended: list[bool] = []
    monkeypatch.setattr(get_web_context(app).photos.waiting, "_pause", lambda news, _: ended.append(news.wait(60)))
    return ended


@pytest.fixture
def is_heard(app: Flask) -> None:
    """The app's listener listens."""
    web_context = get_web_context(app)
    web_context.photos.listener.ensure_started()
    wait_until(lambda: web_context.photos.cache.hears_purges)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def waiting(clock: Clock) -> Waiting:
    """A place to wait where no time is lost."""
    return Waiting(2.0, PLACES, clock=clock, pause=lambda _, seconds: clock.sleep(seconds))


# Woken


@pytest.mark.usefixtures("is_heard")
def test_done_wakes_a_waiting_request_at_once(app: Flask, client: FlaskClient, pauses: list[bool]) -> None:
    file_id = new_file_id()
    with in_background(lambda: client.get(file_url(file_id))) as answer:
        wait_until(lambda: queued(app, "hot") == [file_id])
        shelve(app, file_id)
        get_web_context(app).photos.store.announce(file_id, "stored")
        assert answer.result().data == body_of(file_id)
    assert pauses == [True]
    assert answer.result().headers["Cache-Status"] == "avatar-warmer; fwd=miss"
    assert "wait;dur=" in answer.result().headers["Server-Timing"]


def test_a_lost_done_is_healed_by_the_next_look(app: Flask, client: FlaskClient) -> None:
    file_id = new_file_id()
    with in_background(lambda: client.get(file_url(file_id))) as answer:
        wait_until(lambda: queued(app, "hot") == [file_id])
        shelve(app, file_id)
        assert answer.result().status_code == 200


def test_unavailable_ends_the_wait_with_404(app: Flask, client: FlaskClient) -> None:
    file_id = new_file_id()
    with in_background(lambda: client.get(file_url(file_id))) as answer:
        wait_until(lambda: queued(app, "hot") == [file_id])
        remember_none(app, file_id, InvalidFileId("x"))
        get_web_context(app).photos.store.announce(file_id, "unavailable")
        assert answer.result().status_code == 404


def test_forgetting_ends_the_wait_with_404(app: Flask, client: FlaskClient) -> None:
    file_id = new_file_id()
    with in_background(lambda: client.get(file_url(file_id))) as answer:
        wait_until(lambda: queued(app, "hot") == [file_id])
        get_web_context(app).photos.store.forget(file_id)
        assert answer.result().status_code == 404


@pytest.mark.usefixtures("is_heard")
def test_postponed_ends_the_wait_with_503(app: Flask, client: FlaskClient, pauses: list[bool]) -> None:
    file_id = new_file_id()
    with in_background(lambda: client.get(file_url(file_id))) as answer:
        wait_until(lambda: queued(app, "hot") == [file_id])
        get_web_context(app).photos.store.announce(file_id, "postponed")
        assert (answer.result().status_code, answer.result().headers["Retry-After"]) == (503, "1")
    assert pauses == [True]


def test_what_is_done_for_another_picture_wakes_no_request(clock: Clock) -> None:
    woken: list[bool] = []

    def pause(news: threading.Event, seconds: float) -> None:
        for message in ("yours done", "", "\ufffd", "mine-too done"):
            place.wake(message)
        woken.append(news.is_set())
        clock.sleep(seconds)

    place = Waiting(LOOK_SECONDS, PLACES, clock=clock, pause=pause)
    assert place.wait_for({"mine"}, lambda: None, lambda: True) is None
    assert woken == [False]


def test_the_wait_is_bounded_and_looks_four_times_a_second(waiting: Waiting, clock: Clock) -> None:
    looks: list[float] = []
    assert waiting.wait_for({"a"}, lambda: looks.append(clock()), lambda: True) is None
    assert clock.slept == [LOOK_SECONDS] * 8
    assert len(looks) == 9  # the first at once, the last at the end


def test_a_wait_shorter_than_a_look_ends_in_time(clock: Clock) -> None:
    waiting = Waiting(0.1, PLACES, clock=clock, pause=lambda _, seconds: clock.sleep(seconds))
    assert waiting.wait_for({"a"}, lambda: None, lambda: True) is None
    assert clock.slept == [pytest.approx(0.1)]


def test_what_never_comes_is_503(app: Flask, client: FlaskClient) -> None:
    get_web_context(app).photos.waiting.wait_seconds = 0.01
    assert client.get(file_url(new_file_id())).status_code == 503


def test_it_registers_before_it_looks(clock: Clock) -> None:
    """What is done between the look and the wait would be lost otherwise."""
    looks: list[str] = []
    paused: list[bool] = []

    def look() -> str | None:
        looks.append("look")
        place.wake("mine done")  # arrives while we look
        return "found" if len(looks) == 2 else None

    place = Waiting(2.0, PLACES, clock=clock, pause=lambda news, _: paused.append(news.is_set()))
    assert place.wait_for({"mine"}, look, lambda: True) == "found"
    assert paused == [True]


def test_nothing_remains_of_a_wait_however_it_ends(waiting: Waiting) -> None:
    assert waiting.wait_for({"a", "b"}, lambda: None, lambda: True) is None
    with pytest.raises(ZeroDivisionError):
        waiting.wait_for({"a"}, lambda: 1 / 0, lambda: True)
    assert not waiting._waiters
    assert waiting._places._value == PLACES


# Bounded in number


def test_half_of_the_threads_wait_and_the_others_are_answered_at_once(app: Flask) -> None:
    web_context, file_ids = get_web_context(app), [new_file_id() for _ in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        answers = {pool.submit(app.test_client().get, file_url(file_id)): file_id for file_id in file_ids}
        wait_until(lambda: sum(answer.done() for answer in answers) == THREADS // 2)
        waiting = [answer for answer in answers if not answer.done()]
        for answer in waiting:
            web_context.photos.store.announce(answers[answer], "postponed")
    assert len(waiting) == THREADS // 2
    assert {answer.result().status_code for answer in answers} == {503}


def test_a_hit_needs_no_place(app: Flask, client: FlaskClient) -> None:
    leave_no_place(app)
    assert client.get(file_url(shelve(app))).status_code == 200
    shed = client.get(file_url(file_id := new_file_id()))
    assert (shed.status_code, shed.headers["Retry-After"], shed.headers["Cache-Control"]) == (503, "1", "no-store")
    assert queued(app, "hot") == [file_id]  # warmed nevertheless: the client comes again in a second


def test_without_a_place_it_says_so_and_looks_for_nothing() -> None:
    waiting = Waiting(2.0, places=0)
    with pytest.raises(Overloaded):
        waiting.wait_for({"a"}, lambda: pytest.fail("looked"), lambda: pytest.fail("asked"))


@pytest.mark.usefixtures("redis", "telegram")
def test_above_hot_max_nothing_is_published_and_it_is_503_at_once(
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


def test_many_requests_for_one_picture_publish_one_message(app: Flask) -> None:
    file_id = new_file_id()
    get_web_context(app).photos.waiting.wait_seconds = 0.4
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: app.test_client().get(file_url(file_id)), range(16)))
    assert queued(app, "hot") == [file_id]


def test_it_asks_again_when_the_worker_left_without_an_outcome(app: Flask, client: FlaskClient) -> None:
    file_id, web_context = new_file_id(), get_web_context(app)
    with in_background(lambda: client.get(file_url(file_id))) as answer:
        wait_until(lambda: queued(app, "hot") == [file_id])
        web_context.redis.delete(web_context.keys.enqueued(file_id, "hot"))  # as a worker does that met the claim held
        wait_until(lambda: queued(app, "hot") == [file_id] * 2)
        shelve(app, file_id)
        assert answer.result().status_code == 200


# Through the real worker


@pytest.mark.usefixtures("worker")
def test_a_cold_picture_is_fetched_and_then_stored(client: FlaskClient, telegram: FakeTelegram) -> None:
    telegram.world.add_user(user_id := new_id(), "Ann")
    url = file_url(telegram.world.file_id(user_id))
    answers = [client.get(url) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.headers["Cache-Status"] for answer in answers] == ["avatar-warmer; fwd=miss", "avatar-warmer; hit"]
    assert (telegram.calls["getFile"], telegram.calls["download"]) == (1, 1)

    jpeg = client.get(url, headers={"Accept": "image/jpeg"})
    assert (jpeg.mimetype, jpeg.headers["Cache-Status"]) == ("image/jpeg", "avatar-warmer; fwd=miss")
    assert (telegram.calls["getFile"], telegram.calls["download"]) == (1, 1)  # made from what is stored


@pytest.mark.usefixtures("worker")
def test_a_burst_on_one_cold_picture_in_two_formats_is_one_fetch(app: Flask, telegram: FakeTelegram) -> None:
    telegram.latency = 0.1
    telegram.world.add_user(user_id := new_id(), "Ann")
    url, seen = file_url(telegram.world.file_id(user_id)), Counter[int]()

    def insist(accept: str) -> str | None:
        """A client that comes again while it is 503, as every client should."""
        while (answer := app.test_client().get(url, headers={"Accept": accept})).status_code == 503:
            seen[503] += 1
        return answer.mimetype

    accepts = ["image/webp", "image/jpeg"] * 200
    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(insist, accepts)) == accepts
    assert (telegram.calls["getFile"], telegram.calls["download"]) == (1, 1)
    assert seen[503]  # more came at once than may wait


@pytest.mark.usefixtures("worker")
def test_an_unregistered_id_is_looked_up_while_its_client_waits(client: FlaskClient, telegram: FakeTelegram) -> None:
    telegram.world.add_user(user_id := new_id(), "Ann")
    telegram.world.add_chat(-user_id, "A group")
    for one in (user_id, -user_id):
        for accept in ("image/jpeg", "image/webp"):
            answer = client.get(user_url(one), headers={"Accept": accept})
            assert (answer.status_code, answer.mimetype, answer.headers["Cache-Control"]) == (
                200,
                accept,
                CACHE_CONTROL["user"],
            )
    assert telegram.calls["getFile"] == telegram.calls["download"] == 2


@pytest.mark.usefixtures("worker")
def test_an_id_without_a_photo_is_asked_about_once(client: FlaskClient, telegram: FakeTelegram) -> None:
    telegram.world.add_user(hidden := new_id(), "Bob", picture=None)
    for user_id in (hidden, 0, -new_id(), unknown := new_id()):
        answers = [client.get(user_url(user_id)) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[1].headers["Cache-Control"] == "public, max-age=60"
    assert [call["user_id"] for _, method, call in telegram.log if method == "getUserProfilePhotos"] == [
        str(hidden),
        str(unknown),
    ]
    assert telegram.calls["getChat"] == 4  # each id: getUserProfilePhotos alone proves nothing


@pytest.mark.usefixtures("worker")
def test_an_unknown_file_id_is_404_after_one_call(client: FlaskClient, telegram: FakeTelegram) -> None:
    url = file_url(new_file_id())
    assert [client.get(url).status_code for _ in range(2)] == [404, 404]
    assert telegram.calls["getFile"] == 1


@pytest.mark.usefixtures("worker")
def test_during_a_pause_the_wait_ends_early(
    client: FlaskClient, telegram: FakeTelegram, is_heard: None, pauses: list[bool]
) -> None:
    telegram.world.add_user(user_id := new_id(), "Ann")
    telegram.fail("getFile", "too-many-requests", retry_after=30)
    url = file_url(telegram.world.file_id(user_id))
    answer = client.get(url)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert pauses[-1:] != [False]  # it was told, unless it had looked before
    assert telegram.calls["getFile"] == 1
