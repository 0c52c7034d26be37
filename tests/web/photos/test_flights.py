"""Single flight: which clients share a look, when the next one is due, and what each client gets.

The test is the loop and the threads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest
from flask import Flask

from tests.support.clock import Clock
from tests.support.redis_kinds import list_masters
from tests.support.web_memory import hear_purges
from tests.support.web_parts import (
    MakeApp,
    body_of,
    file_url,
    new_file_id,
    new_id,
    queued,
    store_picture,
    store_unavailable,
    user_url,
)
from tests.web.photos.conftest import commands, let_markers_last
from warmer.errors import InvalidFileId
from warmer.keys import Subject
from web import signals
from web.photos.app import PhotoLayer
from web.photos.flights import FLIGHTS_MAX, LEAST_SECONDS, STUCK_SECONDS, Flights
from web.photos.request import RawRequest
from web.photos.response import Reply
from web.photos.shared_lookup import BATCH
from web.photos.waiting import LOOK_SECONDS
from web.wiring import get_web_context

WAIT_SECONDS = 2.0
LOOKS_MAX = 10


class Room:
    """The flights of an app, and clients by name."""

    def __init__(self, app: Flask) -> None:
        self.layer = cast(PhotoLayer, app.wsgi_app)
        self.clock = cast(Clock, self.layer.context.clock)
        self.jobs: list[Callable[[], None]] = []  # for threads
        self.replies: list[Reply] = []
        self.answers: dict[str, Reply] = {}
        self.held: list[Callable[[], None]] | None = None  # what threads give to the loop, while it does other things
        self.flights = Flights(
            self.layer,
            run=self.jobs.append,
            defer=self._defer,
            to_bytes=self._to_bytes,
            looks_max=LOOKS_MAX,
        )

    def _defer(self, call: Callable[..., None], *args: Any) -> None:
        if self.held is None:
            call(*args)
        else:
            self.held.append(partial(call, *args))

    def _to_bytes(self, reply: Reply) -> bytes:
        self.replies.append(reply)
        return str(len(self.replies) - 1).encode()

    def try_to_join(
        self, name: str, url: str, *, method: str = "GET", accept: str = "image/webp", **fields: str
    ) -> bool:
        def send(data: bytes) -> None:
            self.answers[name] = self.replies[int(data)]

        path, _, query = url.partition("?")
        photo_request = self.layer.context.request_parser.read(path, query, accept)
        return self.flights.join(RawRequest(method, path, query, accept, **fields), photo_request, send)

    def join(self, name: str, url: str, **fields: str) -> None:
        assert self.try_to_join(name, url, **fields)

    def look(self) -> int:
        """Let the threads do what they have, and the loop what follows. Returns the number of the threads' jobs."""
        jobs = 0
        while self.jobs:
            self.jobs.pop(0)()
            self.flights.deliver()
            jobs += 1
        return jobs

    def let_pass(self, seconds: float) -> int:
        """Let time pass, and the loop start what is due. Returns the number of the threads' jobs."""
        self.clock.advance(seconds)
        self.flights.tick()
        return len(self.jobs)

    def count_clients(self) -> int:
        return sum(len(flight.clients) for flight in self.flights._flights.values())

    def statuses(self) -> dict[str, str]:
        return {name: reply.status[:3] for name, reply in self.answers.items()}

    def assert_empty(self) -> None:
        """Nothing is left behind."""
        flights = self.flights
        assert (flights._flights, dict(flights._by_subject)) == ({}, {})
        assert (len(flights._turns), len(flights._unchecked), len(flights._batches)) == (0, 0, 0)
        assert flights._free_looks == LOOKS_MAX


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(redis: object, telegram: object, make_app: MakeApp, clock: Clock) -> Flask:
    app = make_app(photo_wait=WAIT_SECONDS, clock=clock)
    hear_purges(app)
    let_markers_last(app)
    return app


@pytest.fixture
def room(app: Flask) -> Room:
    return Room(app)


def test_clients_that_want_the_same_share_a_look_and_a_message(app: Flask, room: Room) -> None:
    file_id = new_file_id()
    for name in "abc":
        room.join(name, file_url(file_id), request_id=f"of-{name}")
    assert room.look() == 1
    assert (queued(app, "hot"), room.answers) == ([file_id], {})
    store_picture(app, file_id)
    room.flights.wake(f"{file_id} stored")
    assert room.look() == 1
    assert room.statuses() == {"a": "200", "b": "200", "c": "200"}
    assert {reply.body for reply in room.answers.values()} == {body_of(file_id)}
    headers = [dict(reply.headers) for reply in room.answers.values()]
    assert [one["X-Request-ID"] for one in headers] == ["of-a", "of-b", "of-c"]
    assert {one["Cache-Status"] for one in headers} == {"avatar-warmer; fwd=miss"}
    room.assert_empty()


def test_another_size_or_format_is_another_look(room: Room) -> None:
    file_id = new_file_id()
    room.join("webp", file_url(file_id))
    room.join("jpeg", file_url(file_id), accept="image/jpeg")
    room.join("small", file_url(file_id, size=80))
    room.join("small, too", file_url(file_id, size=80))
    assert room.look() == 3
    assert room.count_clients() == 4


def test_clients_with_different_etags_share_a_look_and_those_that_have_the_picture_get_304(
    app: Flask, room: Room
) -> None:
    etag = app.test_client().get(file_url(file_id := store_picture(app))).headers["ETag"]
    web_context = get_web_context(app)
    web_context.redis.delete(web_context.keys.variant(file_id, 160, "webp"))
    web_context.photos.cache.purge(file_id)
    known = {"same": etag, "weak": f"W/{etag}", "any": "*", "other": '"x"', "both": f'"x", {etag}'}
    room.join("none", file_url(file_id))
    for name, validator in known.items():
        room.join(name, file_url(file_id), if_none_match=validator)
    assert room.look() == 1
    assert (room.answers, queued(app, "hot")) == ({}, [file_id])
    store_picture(app, file_id)
    room.flights.wake(f"{file_id} stored")
    assert room.look() == 1
    assert room.statuses() == dict.fromkeys(["none", "other"], "200") | dict.fromkeys(
        ["same", "weak", "any", "both"], "304"
    )
    assert {name for name, reply in room.answers.items() if reply.body} == {"none", "other"}
    room.assert_empty()


@pytest.mark.parametrize("other", [{}, {"if_none_match": '"x"'}])
def test_an_answer_without_bytes_in_memory_is_not_enough_for_clients_of_which_one_needs_them(
    app: Flask, room: Room, other: dict[str, str]
) -> None:
    url = file_url(file_id := store_picture(app))
    etag = app.test_client().get(url).headers["ETag"]
    get_web_context(app).photos.cache.purge(file_id)
    room.join("before", url, if_none_match=etag)
    room.look()
    room.join("first", url, if_none_match=etag)
    room.join("a", url, if_none_match=etag)  # comes during that look, and shares the next one
    room.join("b", url, **other)
    room.look()
    assert room.statuses() == {"before": "304", "first": "304", "a": "304", "b": "200"}
    assert room.answers["b"].body == body_of(file_id)


def test_a_stored_picture_is_a_hit_for_all_and_then_in_memory(app: Flask, room: Room) -> None:
    url = file_url(store_picture(app))
    room.join("a", url)
    room.join("b", url, method="HEAD")
    with commands(app) as seen:
        room.look()
    assert seen == {"get"}
    assert {dict(reply.headers)["Cache-Status"] for reply in room.answers.values()} == {"avatar-warmer; hit"}
    assert [bool(room.answers[name].body) for name in "ab"] == [True, False]
    room.join("c", url)
    with commands(app) as seen:
        room.look()
    assert (seen, room.statuses()["c"]) == (set(), "200")


def test_a_304_reads_no_picture_bytes_from_redis(app: Flask, room: Room) -> None:
    url = file_url(store_picture(app))
    etag = app.test_client().get(url).headers["ETag"]
    get_web_context(app).photos.cache.purge(url.split("/")[4].partition("?")[0])
    room.join("a", url, if_none_match=etag)
    with commands(app) as seen:
        room.look()
    assert (seen, room.statuses()) == ({"getrange"}, {"a": "304"})


def test_redis_is_asked_again_four_times_a_second_and_at_the_end(room: Room, clock: Clock) -> None:
    room.join("a", file_url(new_file_id()))
    assert room.look() == 1
    asked_at: list[float] = []
    while not room.answers:
        assert room.flights.seconds_to_tick > 0
        room.flights.tick()
        assert room.look() == 0
        clock.advance(room.flights.seconds_to_tick)
        room.flights.tick()
        assert room.look() == 1
        asked_at.append(clock() - 1000)
    assert asked_at == [LOOK_SECONDS * number for number in range(1, 9)]
    assert room.statuses() == {"a": "503"}
    assert dict(room.answers["a"].headers)["Retry-After"] == "1"
    room.assert_empty()
    assert room.flights.seconds_to_tick > 1e9


def test_all_flights_are_checked_together_and_none_waits_longer_for_it(app: Flask, room: Room, clock: Clock) -> None:
    urls = [file_url(new_file_id()) for _ in range(2 * LOOKS_MAX)]
    for url in urls:
        room.join(url, url)
        room.look()
        clock.advance(1 / 128)  # no rounding
    for _ in range(4):
        waits = {flight.next_look - clock() for flight in room.flights._flights.values()}
        assert len(waits) == 1
        assert room.flights.seconds_to_tick == max(waits) <= LOOK_SECONDS
        with commands(app) as seen:
            assert room.let_pass(max(waits)) == 1
            assert room.look() == 1
        assert seen == {"exists", "smembers"}
    assert room.count_clients() == len(urls)


def test_only_flights_with_news_look_again(app: Flask, room: Room) -> None:
    stored, ended, waiting = [new_file_id() for _ in range(3)]
    for file_id in (stored, ended, waiting):
        room.join(file_id, file_url(file_id))
    room.look()
    store_picture(app, stored)
    web_context = get_web_context(app)
    web_context.redis.delete(web_context.keys.enqueued(ended, "hot"))
    assert room.let_pass(LOOK_SECONDS) == 1
    assert room.look() == 3  # the check, and two looks
    assert room.statuses() == {stored: "200"}
    assert queued(app, "hot") == [stored, ended, waiting, ended]


def test_a_client_whose_time_is_over_needs_a_look_and_no_check(app: Flask, room: Room) -> None:
    room.join("a", file_url(new_file_id()))
    room.look()
    room.let_pass(WAIT_SECONDS)
    with commands(app) as seen:
        assert room.look() == 1
    assert "get" in seen
    assert room.statuses() == {"a": "503"}


@pytest.mark.parametrize(("outcome", "status"), [("stored", "200"), ("postponed", "503"), ("forgotten", "404")])
def test_done_during_a_check_starts_a_look(app: Flask, room: Room, outcome: str, status: str) -> None:
    room.join("a", file_url(file_id := new_file_id()))
    room.look()
    room.let_pass(LOOK_SECONDS)
    held: list[Callable[[], None]] = []
    room.held = held
    assert room.look() == 1  # the check has read too early
    room.held = None
    if outcome == "stored":
        store_picture(app, file_id)
    elif outcome == "forgotten":
        get_web_context(app).photos.store.forget(file_id)
    room.flights.wake(f"{file_id} {outcome}")
    assert room.jobs == []
    [end_check] = held
    end_check()
    assert room.look() == 1
    assert room.statuses() == {"a": status}
    room.assert_empty()


def test_what_happens_during_a_check_and_is_not_heard_is_found_by_the_next(app: Flask, room: Room) -> None:
    room.join("a", file_url(file_id := new_file_id()))
    room.look()
    room.let_pass(LOOK_SECONDS)
    room.look()
    get_web_context(app).photos.store.forget(file_id)
    assert room.let_pass(LOOK_SECONDS) == 1
    assert room.look() == 2
    assert room.statuses() == {"a": "404"}


def test_a_client_that_comes_during_a_check_waits_with_the_others(app: Flask, room: Room) -> None:
    url = file_url(file_id := new_file_id())
    room.join("a", url)
    room.look()
    room.let_pass(LOOK_SECONDS)
    room.join("b", url)
    assert room.look() == 1
    store_picture(app, file_id)
    room.flights.wake(f"{file_id} stored")
    assert room.look() == 1
    assert room.statuses() == {"a": "200", "b": "200"}
    room.assert_empty()


def test_a_check_announces_no_miss(app: Flask, room: Room) -> None:
    missed: list[dict[str, Any]] = []
    with signals.photo_missed.connected_to(lambda _, **payload: missed.append(payload), sender=app):
        room.join("a", file_url(new_file_id()))
        room.look()
        room.let_pass(LOOK_SECONDS)
        room.look()
    assert len(missed) == 1


def test_without_redis_a_check_leaves_the_answer_to_the_looks(app: Flask, room: Room) -> None:
    for name in "ab":
        room.join(name, file_url(new_file_id()))
    room.look()
    for master in list_masters(get_web_context(app).redis):
        master.connection_pool.open()  # as after a timeout
    assert room.let_pass(LOOK_SECONDS) == 1
    assert room.look() == 3
    assert room.statuses() == {"a": "503", "b": "503"}
    room.assert_empty()


def test_a_check_has_its_turn_before_looks_and_holds_no_more_than_one_of_their_places(room: Room) -> None:
    for _ in range(3):
        room.join(url := file_url(new_file_id()), url)
    room.look()
    for _ in range(LOOKS_MAX + 2):
        room.join(url := file_url(new_file_id()), url)
    assert room.let_pass(LOOK_SECONDS) == LOOKS_MAX  # the check waits, too
    assert len(room.flights._unchecked) == 3
    room.jobs.pop(0)()
    room.flights.deliver()
    assert (len(room.jobs), room.flights._unchecked, len(room.flights._turns)) == (LOOKS_MAX, [], 2)
    room.look()
    assert room.count_clients() == 3 + LOOKS_MAX + 2


def test_each_client_has_its_own_time(room: Room, clock: Clock) -> None:
    url = file_url(new_file_id())
    room.join("early", url)
    room.look()
    clock.advance(1.99)
    room.join("late", url)
    room.flights.tick()
    room.look()
    assert room.answers == {}
    clock.advance(LEAST_SECONDS)
    room.flights.tick()
    room.look()
    assert room.statuses() == {"early": "503"}
    clock.advance(WAIT_SECONDS)
    room.flights.tick()
    room.look()
    assert room.statuses() == {"early": "503", "late": "503"}


@pytest.mark.usefixtures("redis", "telegram")
def test_without_any_time_the_first_look_decides(make_app: MakeApp) -> None:
    app = make_app(photo_wait=0)
    room = Room(app)
    room.join("a", file_url(file_id := new_file_id()))
    assert room.look() == 1
    assert (room.statuses(), queued(app, "hot")) == ({"a": "503"}, [file_id])


def test_done_during_a_look_starts_another(app: Flask, room: Room) -> None:
    room.join("a", file_url(file_id := new_file_id()))
    room.flights.wake(f"{file_id} stored")  # the look has not ended, and may have read too early
    assert room.look() == 2


def test_done_for_another_picture_starts_no_look(room: Room) -> None:
    room.join("a", file_url(file_id := new_file_id()))
    room.look()
    for message in (f"{new_file_id()} stored", f"{file_id}x stored", "", " ", "\ufffd"):
        room.flights.wake(message)
    assert room.look() == 0
    room.flights.wake(f"{file_id} stored")
    assert room.look() == 1


def test_a_client_that_comes_during_a_look_has_one_of_its_own(app: Flask, room: Room) -> None:
    url = file_url(file_id := store_picture(app))
    room.join("a", url)
    [look] = room.jobs
    room.jobs.clear()
    room.join("b", url)
    assert room.jobs == []
    look()
    room.flights.deliver()
    assert room.statuses() == {"a": "200"}
    assert room.look() == 1
    assert room.statuses() == {"a": "200", "b": "200"}
    assert dict(room.answers["b"].headers)["Cache-Status"] == "avatar-warmer; hit"
    assert queued(app, "hot") == []
    assert body_of(file_id) == room.answers["b"].body


def test_a_postponed_picture_ends_every_wait_and_asks_for_no_more(app: Flask, room: Room) -> None:
    file_id = new_file_id()
    for name in "ab":
        room.join(name, file_url(file_id))
    room.look()
    web_context = get_web_context(app)
    web_context.redis.delete(web_context.keys.enqueued(file_id, "hot"))
    room.flights.wake(f"{file_id} postponed")
    room.look()
    assert room.statuses() == {"a": "503", "b": "503"}
    assert queued(app, "hot") == [file_id]
    room.assert_empty()


def test_only_the_picture_that_is_awaited_ends_the_wait_when_it_is_postponed(app: Flask, room: Room) -> None:
    people, user_id, old, new = get_web_context(app).photos.people, new_id(), new_file_id(), new_file_id()
    for file_id in (old, new):
        people.register(user_id, "Ann", file_id)
    room.join("a", user_url(user_id))
    room.look()
    for subject in (old, Subject.of_person(user_id)):
        room.flights.wake(f"{subject} postponed")
        room.look()
        assert room.answers == {}
    room.flights.wake(f"{new} postponed")
    room.flights.wake(f"{old} done")
    room.look()
    assert room.statuses() == {"a": "503"}
    assert queued(app, "hot") == [new]
    room.assert_empty()


def test_a_later_message_about_the_same_picture_ends_its_postponement(app: Flask, room: Room) -> None:
    room.join("a", file_url(file_id := new_file_id()))
    room.look()
    room.let_pass(LOOK_SECONDS)  # a check, so that both messages come before the next look
    room.flights.wake(f"{file_id} postponed")
    room.flights.wake(f"{file_id} done")
    room.look()
    assert room.answers == {}


def test_an_unavailable_picture_is_404_for_all(app: Flask, room: Room) -> None:
    url = file_url(store_unavailable(app, new_file_id(), InvalidFileId("x")))
    for name in "ab":
        room.join(name, url)
    room.look()
    assert room.statuses() == {"a": "404", "b": "404"}


def test_the_placeholder_that_the_url_chooses_is_sent(room: Room, clock: Clock) -> None:
    room.join("a", file_url(new_file_id(), d="initials", initials="AL"))
    room.look()
    clock.advance(WAIT_SECONDS)
    room.flights.tick()
    room.look()
    assert (room.statuses(), dict(room.answers["a"].headers)["Content-Type"]) == ({"a": "503"}, "image/svg+xml")
    assert b"AL" in room.answers["a"].body


def test_an_id_hears_of_the_picture_that_it_shows(app: Flask, room: Room) -> None:
    """Which one that is it learns from the first look: so it heeds it, and looks again."""
    people, user_id, file_id = get_web_context(app).photos.people, new_id(), new_file_id()
    people.register(user_id, "Ann", file_id)
    room.join("a", user_url(user_id))
    assert room.look() == 2
    room.flights.wake(f"{Subject.of_person(user_id)} done")
    assert room.look() == 1
    store_picture(app, file_id)
    room.flights.wake(f"{file_id} stored")
    room.look()
    assert room.answers["a"].body == body_of(file_id)
    room.assert_empty()


@pytest.mark.usefixtures("redis", "telegram")
def test_above_hot_max_every_client_gets_503_at_once(make_app: MakeApp) -> None:
    app = make_app(hot_max=0, photo_wait=10)
    room, url = Room(app), file_url(file_id := new_file_id())
    overloaded: list[dict[str, Any]] = []
    room.join("a", url)
    room.join("b", url)
    with signals.photo_overloaded.connected_to(lambda _, **payload: overloaded.append(payload), sender=app):
        room.look()
    assert room.statuses() == {"a": "503", "b": "503"}
    assert overloaded == [{"subject": file_id}] * 2
    assert queued(app, "hot") == []


def test_a_look_that_finds_nothing_is_announced_once_for_all_its_clients(app: Flask, room: Room) -> None:
    url = file_url(file_id := new_file_id())
    missed: list[dict[str, Any]] = []
    with signals.photo_missed.connected_to(lambda _, **payload: missed.append(payload), sender=app):
        room.join("a", url)
        room.join("b", url)
        room.look()
    assert missed == [{"subject": file_id, "wanted": (160, "webp")}]


@pytest.mark.parametrize("is_stale", [True, False])
def test_without_redis_a_stale_picture_is_served_and_else_503(app: Flask, room: Room, is_stale: bool) -> None:
    url = file_url(store_picture(app))
    if is_stale:
        room.join("first", url)
        room.look()
        get_web_context(app).photos.cache.open()
    for master in list_masters(get_web_context(app).redis):
        master.connection_pool.open()  # as after a timeout
    room.join("a", url)
    room.join("b", url)
    room.look()
    assert [room.statuses()[name] for name in "ab"] == (["200"] * 2 if is_stale else ["503"] * 2)
    room.assert_empty()


def test_without_redis_a_stale_etag_is_served_to_the_clients_that_have_it(app: Flask, room: Room) -> None:
    url = file_url(file_id := store_picture(app))
    etag = app.test_client().get(url).headers["ETag"]
    cache = get_web_context(app).photos.cache
    cache.purge(file_id)
    room.join("before", url, if_none_match=etag)
    room.look()
    cache.open()
    for master in list_masters(get_web_context(app).redis):
        master.connection_pool.open()  # as after a timeout
    room.join("first", url)
    for name, fields in {"same": {"if_none_match": etag}, "none": {}}.items():
        room.join(name, url, **fields)
    room.look()
    assert room.statuses() == {"before": "304", "first": "503", "same": "304", "none": "503"}
    room.assert_empty()


def test_an_error_of_ours_is_500_for_all_and_one_traceback_a_look(
    app: Flask, room: Room, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = file_url(new_file_id())
    for name in "abc":
        room.join(name, url)
    monkeypatch.setattr(get_web_context(app).photos.cache, "get", lambda _: 1 / 0)
    room.look()
    assert room.statuses() == {"a": "500", "b": "500", "c": "500"}
    # Of the first client, and of all others. A handler of the service's logs turns a traceback into text.
    assert len([record for record in caplog.records if record.exc_info or record.exc_text]) == 2
    room.assert_empty()


def test_a_receiver_that_ends_the_process_ends_neither_the_look_nor_a_client(app: Flask, room: Room) -> None:
    def leave(_: Flask, **__: Any) -> None:
        raise SystemExit

    url = file_url(store_picture(app))
    for name in "ab":
        room.join(name, url)
    with signals.photo_served.connected_to(leave, sender=app):
        room.look()
    assert room.statuses() == {"a": "500", "b": "500"}
    room.assert_empty()


def test_a_listener_that_fails_every_answer_leaves_no_client_without_one(app: Flask, room: Room) -> None:
    def refuse(_: Flask, **__: Any) -> None:
        raise signals.ReceiverFailed(KeyError("mine"))

    room.join("a", file_url(store_picture(app)))
    with (
        signals.photo_served.connected_to(refuse, sender=app),
        signals.photo_not_served.connected_to(refuse, sender=app),
    ):
        room.look()
    assert room.statuses() == {"a": "500"}
    names = [name for name, _ in room.answers["a"].headers]
    assert {"X-Request-ID", "Access-Control-Allow-Origin", "X-Content-Type-Options"} <= set(names)
    room.assert_empty()


def test_the_loop_sends_a_batch_at_a_time_and_a_thread_prepares_one_more(app: Flask, room: Room) -> None:
    url = file_url(store_picture(app))
    for number in range(2 * BATCH + 1):
        room.join(str(number), url)
    sent = []
    while room.jobs:
        [prepare] = room.jobs
        room.jobs.clear()
        prepare()
        assert room.jobs == []  # nothing more before the loop has sent this
        assert room.flights.seconds_to_tick == 0
        room.flights.deliver()
        sent.append(len(room.answers))
    assert sent == [1, 1 + BATCH, 1 + 2 * BATCH]  # the look of the first client begins before the others come
    assert set(room.statuses().values()) == {"200"}
    room.assert_empty()


def test_in_one_turn_the_loop_sends_no_more_than_a_batch_of_all_flights_together(app: Flask, room: Room) -> None:
    for url in (file_url(store_picture(app)) for _ in range(3)):
        for number in range(1 + BATCH // 2):
            room.join(f"{url} {number}", url)
    sent = []
    for _ in range(2):  # the looks of the three first clients, then those of all others
        for prepare in [room.jobs.pop(0) for _ in range(3)]:
            prepare()
        room.flights.deliver()
        sent.append(len(room.answers))
    room.flights.deliver()
    assert [*sent, len(room.answers)] == [3, 3 + 2 * (BATCH // 2), 3 + 3 * (BATCH // 2)]
    room.assert_empty()


def test_a_batch_ends_after_a_moment_so_that_no_client_waits_long_for_others(
    app: Flask, room: Room, clock: Clock
) -> None:
    def dawdle(_: Flask, **__: Any) -> None:
        clock.advance(0.001)

    url = file_url(store_picture(app))
    for number in range(10):
        room.join(str(number), url)
    with signals.photo_served.connected_to(dawdle, sender=app):
        room.jobs.pop(0)()
        room.flights.deliver()
        assert 0 < len(room.answers) < 10
        room.look()
    assert set(room.statuses().values()) == {"200"}


def test_after_a_purge_the_clients_of_the_next_batch_get_no_forgotten_picture(app: Flask, room: Room) -> None:
    url = file_url(file_id := store_picture(app))
    for number in range(1 + BATCH + 2):
        room.join(str(number), url)
    for _ in range(2):  # the look of the first client, then that of all others
        room.jobs.pop(0)()
        room.flights.deliver()
    photos = get_web_context(app).photos
    photos.store.forget(file_id)
    photos.cache.purge(file_id)
    room.look()
    assert list(room.statuses().values()) == ["200"] * (1 + BATCH) + ["404"] * 2
    room.assert_empty()


def test_the_number_of_flights_is_bounded_but_not_that_of_their_clients(room: Room) -> None:
    urls = [file_url(new_file_id()) for _ in range(FLIGHTS_MAX)]
    for url in urls:
        room.join(url, url)
    assert not room.try_to_join("one more", file_url(new_file_id()))
    room.join("the same", urls[0])
    assert room.count_clients() == FLIGHTS_MAX + 1


def test_a_client_cannot_take_all_flights_with_one_picture(room: Room) -> None:
    url = file_url(new_file_id())
    for number in range(FLIGHTS_MAX):
        room.join(str(number), url, if_none_match=f'"{number}"')
    room.join("another", file_url(new_file_id()))
    assert len(room.flights._flights) == 2


def test_a_few_looks_are_in_progress_and_the_others_have_their_turn(room: Room) -> None:
    file_ids = [new_file_id() for _ in range(3 * LOOKS_MAX)]
    for file_id in file_ids:
        room.join(file_id, file_url(file_id))
    assert len(room.jobs) == LOOKS_MAX
    assert room.look() == 3 * LOOKS_MAX
    for file_id in file_ids:
        room.flights.wake(f"{file_id} stored")
    assert len(room.jobs) == LOOKS_MAX
    assert room.look() == 3 * LOOKS_MAX


def test_a_look_that_hangs_gets_no_further_clients(room: Room, clock: Clock) -> None:
    url = file_url(new_file_id())
    room.join("a", url)
    clock.advance(STUCK_SECONDS)
    room.join("b", url)
    clock.advance(0.1)
    assert not room.try_to_join("c", url)
    room.join("d", file_url(new_file_id()))  # of another picture
    room.look()
    room.join("e", url)


def test_a_check_that_hangs_gets_no_further_clients(room: Room) -> None:
    room.join("a", url := file_url(new_file_id()))
    room.look()
    room.let_pass(LOOK_SECONDS)
    room.let_pass(STUCK_SECONDS)
    room.join("b", url)
    room.let_pass(0.1)
    assert not room.try_to_join("c", url)
    room.join("d", file_url(new_file_id()))
    room.look()
    room.join("e", url)


def test_where_every_look_hangs_a_client_of_another_picture_does_not_wait_for_them(room: Room, clock: Clock) -> None:
    for number in range(LOOKS_MAX + 1):
        room.join(str(number), file_url(new_file_id()))
    clock.advance(STUCK_SECONDS + 0.1)
    url = file_url(new_file_id())
    assert not room.try_to_join("another", url)
    room.look()
    room.join("another", url)
