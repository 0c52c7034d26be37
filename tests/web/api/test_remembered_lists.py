"""A process lists from memory for a second, and never what is older than the registration of the client that asks."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from tests.conftest import wait_until
from tests.support.clock import Clock
from tests.support.redis_kinds import list_masters, subscribed
from tests.support.web_memory import keep_list
from tests.support.web_parts import Headers, MakeApp, as_user, new_file_id, new_id, store_picture, store_unavailable
from tests.web.api.conftest import Backend, ask, me
from tests.web.photos.conftest import commands
from warmer.keys import Subject
from warmer.state.purge import purge_photos
from warmer.state.remembered import LIST_SECONDS
from web import signals
from web.wiring import get_web_context

LIST = "/api/partner/recent?limit=20"
OWN = ("X-Request-ID", "X-Response-Time", "Server-Timing")
GZIP = {"Accept-Encoding": "gzip"}


@pytest.fixture
def app(redis: Redis, telegram: object, make_app: MakeApp, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """A web process whose lists become older only when the test says so. Then the note in Redis must not end before."""
    monkeypatch.setattr("warmer.state.remembered.REMEMBERED_SECONDS", 600.0)
    return make_app(photo_wait=0, clock=clock)


@pytest.fixture
def other(redis: Redis, telegram: object, make_app: MakeApp, clock: Clock) -> Flask:
    """Another web process of the same service."""
    return make_app(photo_wait=0, clock=clock)


def list_ids(app: Flask, headers: Headers) -> list[int]:
    listed: Any = app.test_client().get(LIST, headers=headers).json
    return [partner["id"] for partner in listed["partners"]]


def is_remembered(app: Flask) -> bool:
    return get_web_context(app).api.lists.get(20) is not None


def test_a_remembered_list_is_the_same_and_asks_redis_for_nothing(
    app: Flask, backend: Backend, as_server: Headers
) -> None:
    backend.put(new_id(), "Ann", store_picture(app))
    first = keep_list(app, as_server)
    with commands(app) as seen:
        again = app.test_client().get(LIST, headers=as_server)
    assert (again.data, seen) == (first.data, set())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("accepted", [{}, GZIP], ids=["plain", "gzip"])
def test_both_ways_give_the_same_answer(
    app: Flask, backend: Backend, as_server: Headers, method: str, accepted: Headers
) -> None:
    for _ in range(3):
        backend.put(new_id(), "Ann", store_picture(app))

    def call() -> tuple[int, list[tuple[str, str]], bytes]:
        answer = app.test_client().open(LIST, method=method, headers=as_server | accepted)
        return answer.status_code, [pair for pair in answer.headers if pair[0] not in OWN], answer.data

    from_redis = call()
    keep_list(app, as_server)
    assert [call(), call()] == [from_redis, from_redis]
    assert (("Content-Encoding", "gzip") in from_redis[1]) is bool(accepted)
    if method == "GET":
        body = gzip.decompress(from_redis[2]) if accepted else from_redis[2]
        assert len(json.loads(body)["partners"]) == 3


def test_a_list_is_remembered_for_a_second(app: Flask, as_server: Headers, clock: Clock) -> None:
    keep_list(app, as_server)
    clock.advance(LIST_SECONDS)
    assert is_remembered(app)
    clock.advance(0.1)
    assert not is_remembered(app)


def test_a_remembered_list_signals_what_it_shows_and_is_not_ready(
    app: Flask, backend: Backend, as_server: Headers
) -> None:
    backend.put(new_id(), "Ann", cold := new_file_id())
    keep_list(app, as_server)
    said: list[list[str]] = []
    note = lambda _, subjects: said.append(subjects)  # noqa: E731 - the signal needs a name that lives on
    with signals.partners_listed.connected_to(note, sender=app):
        assert is_remembered(app)
        app.test_client().get(LIST, headers=as_server)
        app.test_client().get(LIST, headers=as_server)
    assert said == [[cold], [cold]]


def test_a_remembered_list_is_for_callers_with_a_credential_alone(
    app: Flask, client: FlaskClient, as_server: Headers
) -> None:
    keep_list(app, as_server)
    assert [ask(client, credential, LIST) for credential in ("", "Bearer no", "tma x=1")] == [401] * 3
    assert client.get(LIST, headers=as_user(42)).status_code == 200
    assert client.get(f"{LIST}&limit=20", headers=as_server).status_code == 400


# A registration


REGISTRATIONS: dict[str, Callable[[FlaskClient, Headers, int], Any]] = {
    "PUT": lambda client, headers, user_id: client.put(
        f"/api/partner/{user_id}", json={"name": "Ann"}, headers=headers
    ),
    "POST": lambda client, _, user_id: me(client, user_id),
}


@pytest.mark.parametrize("how", REGISTRATIONS)
def test_a_new_partner_is_in_the_list_of_every_process(app: Flask, other: Flask, as_server: Headers, how: str) -> None:
    for _ in range(20):
        for one in (app, other):
            keep_list(one, as_server)
        assert REGISTRATIONS[how](app.test_client(), as_server, user_id := new_id()).status_code == 201
        assert [list_ids(one, as_server)[0] for one in (other, app)] == [user_id] * 2


def test_another_name_and_another_picture_are_listed_at_once_in_every_process(
    app: Flask, other: Flask, as_server: Headers
) -> None:
    backend, user_id, file_id = Backend(app.test_client(), as_server), new_id(), new_file_id()
    for name, photo in (("Ann", None), ("Zoë", None), ("Zoë", file_id), ("Zoë", new_file_id()), ("Ann", file_id)):
        for one in (app, other):
            keep_list(one, as_server)
        backend.put(user_id, name, photo)
        for one in (other, app):
            listed: Any = one.test_client().get(LIST, headers=as_server).json
            partner = listed["partners"][0]
            assert (partner["name"], partner["photo_file_id"]) == (name, photo)


def test_a_user_without_a_picture_who_registers_again_is_listed_as_warming(app: Flask, as_server: Headers) -> None:
    client, user_id, web_context = app.test_client(), new_id(), get_web_context(app)
    me(client, user_id)
    record, redis = web_context.keys.person(user_id), web_context.redis
    long_ago = json.loads(redis.get(record) or "") | {"registered_at": 0, "joined_us": 1}
    redis.set(record, json.dumps(long_ago))
    store_unavailable(app, Subject.of_person(user_id))
    first: Any = keep_list(app, as_server).json
    assert first["partners"][0]["photo_status"] == "none"
    me(client, user_id)
    again: Any = client.get(LIST, headers=as_server).json
    assert again["partners"][0]["photo_status"] == "warming"


def test_a_registration_waits_for_the_acknowledgements_only_while_a_list_is_remembered(
    app: Flask, backend: Backend, as_server: Headers
) -> None:
    web_context = get_web_context(app)
    asked: list[int] = []

    def end_all() -> None:
        asked.append(1)
        web_context.api.lists.end_all()

    web_context.photos.listener._on_acknowledge = end_all
    backend.put(new_id())
    assert asked == []
    keep_list(app, as_server)
    backend.put(new_id())
    assert asked == [1]


def test_a_process_that_does_not_acknowledge_delays_a_registration_and_fails_none(
    app: Flask, backend: Backend, as_server: Headers, redis: Redis
) -> None:
    keep_list(app, as_server)
    with subscribed(redis, get_web_context(app).keys.acknowledge):
        assert backend.put(user_id := new_id()).status_code == 201
    assert list_ids(app, as_server) == [user_id]


# What else ends a list


def test_a_forgotten_person_is_listed_by_no_process(app: Flask, other: Flask, as_server: Headers) -> None:
    client = app.test_client()
    for _ in range(20):
        me(client, user_id := new_id())
        for one in (app, other):
            keep_list(one, as_server)
        assert me(client, user_id, method="DELETE").status_code == 204
        assert [list_ids(one, as_server) for one in (other, app)] == [[], []]


def test_a_finished_picture_is_listed_as_ready(app: Flask, backend: Backend, as_server: Headers) -> None:
    backend.put(new_id(), "Ann", cold := new_file_id())
    assert keep_list(app, as_server).json["partners"][0]["photo_status"] == "warming"  # type: ignore[index]
    store_picture(app, cold)
    wait_until(lambda: not is_remembered(app))
    assert backend.recent("?limit=20").json["partners"][0]["photo_ready"]


def test_another_picture_that_is_finished_ends_no_list(app: Flask, backend: Backend, as_server: Headers) -> None:
    backend.put(new_id(), "Ann", new_file_id())
    keep_list(app, as_server)
    heard: list[str] = []
    get_web_context(app).photos.waiting.pass_on(heard.append)  # after the lists
    stored = store_picture(app)
    wait_until(lambda: f"{stored} stored" in heard)
    assert is_remembered(app)


def test_a_purged_picture_is_listed_as_warming(app: Flask, backend: Backend, as_server: Headers) -> None:
    backend.put(new_id(), "Ann", file_id := store_picture(app))
    assert keep_list(app, as_server).json["partners"][0]["photo_ready"]  # type: ignore[index]
    purge_photos(get_web_context(app).photos.store, [file_id])
    wait_until(lambda: not is_remembered(app))
    assert backend.recent("?limit=20").json["partners"][0]["photo_status"] == "warming"


def test_a_process_that_loses_its_subscription_remembers_nothing_from_before(
    app: Flask, as_server: Headers, redis: Redis
) -> None:
    keep_list(app, as_server)
    for master in list_masters(redis):
        master.client_kill_filter(_type="pubsub")
    wait_until(lambda: not is_remembered(app))


def test_a_process_that_hears_no_purges_remembers_nothing_and_tells_redis_so(app: Flask, as_server: Headers) -> None:
    web_context = get_web_context(app)
    web_context.photos.listener.close()  # it does not start again
    assert [list_ids(app, as_server) for _ in range(3)] == [[], [], []]
    assert not is_remembered(app)
    assert not web_context.redis.exists(web_context.keys.remembered)
