"""The signals of the web tier: sent with the app as sender, exactly when the event happens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import blinker
import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis.exceptions import RedisError

from tests.support.web_parts import (
    MakeApp,
    as_user,
    file_url,
    leave_no_place,
    new_file_id,
    new_id,
    queued,
    store_picture,
    store_unavailable,
    user_url,
)
from warmer.errors import InvalidFileId
from warmer.keys import Subject
from web import signals
from web.wiring import get_web_context

ALL = [value for value in vars(signals).values() if isinstance(value, blinker.NamedSignal)]


@contextmanager
def record_signals(app: Flask) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Records every signal of this app with its payload, except photo_not_served."""
    said: list[tuple[str, dict[str, Any]]] = []
    with ExitStack() as connected:
        for signal in set(ALL) - {signals.photo_not_served}:
            note = lambda _, _name=signal.name, **payload: said.append((_name, payload))  # noqa: E731 - bound to the name
            connected.enter_context(signal.connected_to(note, app))
        yield said


def test_the_signals_are_the_five_of_the_contract_and_four_more() -> None:
    assert {signal.name for signal in ALL} == {
        "photo-missed", "photo-served", "photo-not-found", "photo-overloaded", "photo-not-served", "profile-aged",
        "partners-listed", "partner-registered", "photos-requested",
    }  # fmt: skip


def test_the_signals_have_their_own_namespace() -> None:
    assert blinker.signal("photo-served") is not signals.photo_served


def test_a_hit_signals_photo_served(app: Flask, client: FlaskClient) -> None:
    file_id = store_picture(app)
    for headers in ({}, {"If-None-Match": "*"}):
        with record_signals(app) as said:
            client.get(file_url(file_id), headers=headers)
        ((name, payload),) = said
        assert (name, payload["subject"], payload["was_hit"]) == ("photo-served", file_id, True)
        assert payload["seconds"] >= 0


@pytest.mark.parametrize(("query", "status"), [({"sig": "x"}, 403), ({"size": 1}, 400), ({}, 503)])
def test_any_answer_without_a_picture_signals_photo_not_served_and_a_refused_request_nothing_else(
    app: Flask, client: FlaskClient, query: dict[str, Any], status: int
) -> None:
    said: list[dict[str, Any]] = []
    listening = signals.photo_not_served.connected_to(lambda _, **payload: said.append(payload), sender=app)
    with listening, record_signals(app) as others:
        client.get(file_url(new_file_id(), **query))
    assert bool(others) == (status == 503)
    (payload,) = said
    assert (payload["kind"], payload["method"], payload["status"]) == ("file", "GET", status)


def test_an_absent_picture_signals_photo_not_found(app: Flask, client: FlaskClient) -> None:
    file_id = store_unavailable(app, new_file_id(), InvalidFileId("x"))
    with record_signals(app) as said:
        client.get(file_url(file_id))
    ((name, payload),) = said
    assert (name, payload["subject"], payload["kind"]) == ("photo-not-found", file_id, "file")


@pytest.mark.parametrize(("accept", "wanted"), [("image/webp", "webp"), ("image/jpeg", "jpeg"), (None, "jpeg")])
def test_a_cold_picture_signals_photo_missed(app: Flask, accept: str | None, wanted: str) -> None:
    file_id = new_file_id()
    with record_signals(app) as said:
        FlaskClient(app).get(file_url(file_id), headers={"Accept": accept} if accept else {})
    assert said == [("photo-missed", {"subject": file_id, "wanted": (160, wanted)})]


def test_a_cold_id_signals_photo_missed_with_the_id_as_subject(app: Flask, client: FlaskClient) -> None:
    user_id = new_id()
    with record_signals(app) as said:
        client.get(user_url(user_id), headers={"Accept": "image/jpeg"})
    assert said == [("photo-missed", {"subject": Subject.of_person(user_id), "wanted": None})]


def test_a_miss_without_a_free_place_signals_photo_overloaded(app: Flask, client: FlaskClient) -> None:
    file_id = new_file_id()
    leave_no_place(app)
    with record_signals(app) as said:
        client.get(file_url(file_id))
    assert [name for name, _ in said] == ["photo-missed", "photo-overloaded"]
    assert said[-1][1] == {"subject": file_id}


# A user's own receivers


def fail(_: Flask, **__: Any) -> None:
    raise RedisError("of a receiver")


@pytest.fixture
def failing(app: Flask) -> Iterator[None]:
    """Every signal has a receiver that raises an error."""
    with ExitStack() as connected:
        for signal in ALL:
            connected.enter_context(signal.connected_to(fail, app))
        yield


@pytest.mark.usefixtures("failing")
def test_a_failing_receiver_changes_no_photo_answer_and_is_logged(
    app: Flask, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    absent = store_unavailable(app, new_file_id(), InvalidFileId("x"))
    urls = [file_url(store_picture(app)), file_url(absent), file_url(cold := new_file_id()), file_url(cold, sig="x")]
    assert [client.get(url).status_code for url in urls] == [200, 404, 503, 403]
    assert queued(app, "hot") == [cold]
    for name in ("photo-served", "photo-not-found", "photo-missed", "photo-not-served"):
        assert f"a receiver of {name} failed" in caplog.messages


@pytest.mark.usefixtures("failing")
def test_a_failing_receiver_changes_no_api_answer_and_prevents_no_warming(
    app: Flask, client: FlaskClient, as_server: dict[str, str]
) -> None:
    user_id, file_ids = new_id(), [new_file_id(), new_file_id()]
    assert client.post("/api/partner/me", headers=as_user(user_id)).status_code == 201
    get_web_context(app).photos.people.register(new_id(), "Ann", file_ids[0])
    assert client.get("/api/partner/recent?limit=1", headers=as_server).status_code == 200
    body = {"photo_file_ids": file_ids[1:]}
    assert client.post("/api/photos/warm", json=body, headers=as_server).status_code == 202
    assert queued(app) == [Subject.of_person(user_id), *file_ids]


@pytest.mark.usefixtures("redis", "telegram")
def test_the_return_value_of_a_photo_missed_receiver_makes_no_request_wait(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(hot_max=0, photo_wait=10)
    monkeypatch.setattr(get_web_context(app).photos.waiting, "_pause", lambda *_: pytest.fail("waited"))
    told: list[str] = []

    def promise(_: Flask, *, subject: str, **__: Any) -> bool:
        told.append(subject)
        return True

    with signals.photo_missed.connected_to(promise, app):
        assert app.test_client().get(file_url(file_id := new_file_id())).status_code == 503
    assert told == [file_id]


def test_a_receiver_can_declare_that_the_answer_depends_on_it_and_the_others_still_run(app: Flask) -> None:
    told: list[str] = []

    def refuse(_: Flask, **__: Any) -> None:
        raise signals.ReceiverFailed(KeyError("mine"))

    def listen(_: Flask, **__: Any) -> None:
        told.append("heard")

    with ExitStack() as connected:
        for receiver in (listen, refuse, fail):
            connected.enter_context(signals.photo_not_found.connected_to(receiver, app))
        with pytest.raises(KeyError):
            signals.announce(signals.photo_not_found, app)
    assert told == ["heard"]


def test_a_list_signals_partners_listed_with_the_missing_pictures_in_order(
    app: Flask, client: FlaskClient, as_server: dict[str, str]
) -> None:
    directory, (first, second, third, fourth) = get_web_context(app).photos.people, [new_id() for _ in range(4)]
    directory.register(first, "cold", cold := new_file_id())
    directory.register(second, "ready", store_picture(app))
    directory.register(third, "no photo", None)
    store_unavailable(app, Subject.of_person(third))
    directory.register(fourth, "unknown yet", None)
    with record_signals(app) as said:
        client.get("/api/partner/recent", headers=as_server)
        client.get("/api/partner/recent?limit=1", headers=as_server)
        client.get("/api/partner/recent?limit=0", headers=as_server)
        client.get("/api/partner/recent")
    lists = [[Subject.of_person(fourth), cold], [Subject.of_person(fourth)]]
    assert said == [("partners-listed", {"subjects": subjects}) for subjects in lists]


def test_each_registration_signals_partner_registered(
    app: Flask, client: FlaskClient, as_server: dict[str, str]
) -> None:
    user_id, ready, cold = new_id(), store_picture(app), new_file_id()
    with record_signals(app) as said:
        client.post("/api/partner/me", headers=as_user(user_id))
        client.post("/api/partner/me", headers=as_user(user_id))
        for file_id in (cold, ready):
            client.put(f"/api/partner/{user_id}", json={"name": "A", "photo_file_id": file_id}, headers=as_server)
        client.put(f"/api/partner/{user_id}", json={"name": ""}, headers=as_server)
    me = Subject.of_person(user_id)
    events = [(me, False, False), (me, False, True), (cold, False, False), (ready, True, False)]
    names = ("subject", "is_settled", "is_repeat")
    assert said == [("partner-registered", dict(zip(names, event, strict=True))) for event in events]


def test_warm_resolve_and_refresh_signal_photos_requested(
    app: Flask, client: FlaskClient, as_server: dict[str, str]
) -> None:
    user_id, ready, cold = new_id(), store_picture(app), new_file_id()
    with record_signals(app) as said:
        client.post("/api/photos/warm", json={"photo_file_ids": [ready, cold]}, headers=as_server)
        for route in ("resolve", "refresh"):
            client.post(f"/api/photos/{route}", json={"ids": [user_id]}, headers=as_server)
    subjects = [cold, *[Subject.of_person(user_id)] * 2]
    assert said == [("photos-requested", {"subjects": [subject]}) for subject in subjects]


def test_other_routes_send_no_signal(app: Flask, client: FlaskClient, as_server: dict[str, str]) -> None:
    with record_signals(app) as said:
        for path in ("/api/partner/42", "/readyz", "/"):
            client.get(path, headers=as_server)
        client.delete("/api/partner/42", headers=as_server)
    assert said == []


@pytest.mark.parametrize(("age_seconds", "is_aged"), [(60, False), (10**9, True)])
def test_resolving_a_stale_profile_signals_profile_aged(
    app: Flask, client: FlaskClient, as_server: dict[str, str], age_seconds: int, is_aged: bool
) -> None:
    user_id, web_context = new_id(), get_web_context(app)
    looked_up_at = web_context.redis.time()[0] - age_seconds
    record = {"photo_file_id": store_picture(app), "photo_unique_id": "u", "looked_up_at": looked_up_at}
    web_context.redis.set(web_context.keys.person(user_id), json.dumps(record))
    with record_signals(app) as said:
        client.post("/api/photos/resolve", json={"ids": [user_id]}, headers=as_server)
    assert (("profile-aged", {"subject": Subject.of_person(user_id)}) in said) is is_aged
