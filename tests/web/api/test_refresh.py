"""`POST /api/photos/refresh`: profiles are looked up again now."""

from __future__ import annotations

import json
import threading

import pytest
from flask import Flask
from flask.testing import FlaskClient

from benches.round_trips import counting
from faketelegram import FakeTelegram
from tests.conftest import make_picture, wait_until
from tests.support.remaining import remaining
from tests.support.web_parts import dump, new_file_id, new_id, queued, store_picture, store_unavailable, user_url
from tests.web.api.conftest import Backend
from tests.web.api.test_lists import STATUS_FIELDS
from warmer.keys import REFRESHED_SECONDS, Subject
from web.wiring import get_web_context


def show(app: Flask, user_id: int, file_id: str) -> None:
    """Let an id show a picture as if it had been looked up a moment ago."""
    web_context = get_web_context(app)
    record = {"photo_file_id": file_id, "photo_unique_id": "u", "looked_up_at": web_context.redis.time()[0]}
    web_context.redis.set(web_context.keys.person(user_id), json.dumps(record))


def look_up(app: Flask, *user_ids: int) -> None:
    """As if workers had looked these profiles up for a refresh, and found nothing new."""
    web_context = get_web_context(app)
    for subject in map(Subject.of_person, user_ids):
        web_context.redis.delete(web_context.keys.refresh(subject), web_context.keys.enqueued(subject, "warm"))
        web_context.redis.set(web_context.keys.refreshed(subject), "1", ex=REFRESHED_SECONDS)


def test_the_answer_is_202_with_what_each_id_shows_until_then(app: Flask, backend: Backend) -> None:
    shown, hidden, unknown, group = new_id(), new_id(), new_id(), -new_id()
    show(app, shown, file_id := store_picture(app))
    store_unavailable(app, Subject.of_person(hidden))
    answer = backend.refresh(shown, hidden, unknown, group, shown)
    photos = answer.json["photos"]
    assert answer.status_code == 202
    assert {name: photo["status"] for name, photo in photos.items()} == {
        str(shown): "ready", str(hidden): "none", str(unknown): "warming", str(group): "warming",
    }  # fmt: skip
    assert all(set(photo) == STATUS_FIELDS for photo in photos.values())
    assert photos[str(shown)] == backend.resolve(shown).json["photos"][str(shown)]
    assert file_id in photos[str(shown)]["photo_url"]


def test_every_profile_is_looked_up_in_the_warm_lane_however_new_its_last_look_up_is(
    app: Flask, backend: Backend
) -> None:
    registered, shown, hidden = new_id(), new_id(), new_id()
    get_web_context(app).photos.people.register(registered, "Ann")
    show(app, shown, store_picture(app))
    store_unavailable(app, Subject.of_person(hidden))
    backend.refresh(registered, shown, hidden)
    assert queued(app) == [Subject.of_person(one) for one in (registered, shown, hidden)]


def test_a_pinned_picture_is_not_looked_up_but_warmed_if_it_is_missing(app: Flask, backend: Backend) -> None:
    ready, cold = new_id(), new_id()
    backend.put(ready, "Ann", store_picture(app))
    get_web_context(app).photos.people.register(cold, "Bob", file_id := new_file_id())
    photos = backend.refresh(ready, cold).json["photos"]
    assert [photos[str(one)]["status"] for one in (ready, cold)] == ["ready", "warming"]
    assert queued(app) == [file_id]


def test_a_picture_that_is_shown_and_missing_is_warmed_beside_the_look_up(app: Flask, backend: Backend) -> None:
    show(app, user_id := new_id(), file_id := new_file_id())
    assert backend.refresh(user_id).json["photos"][str(user_id)]["status"] == "warming"
    assert queued(app) == [Subject.of_person(user_id), file_id]


def test_a_forgotten_person_stays_forgotten(app: Flask, backend: Backend) -> None:
    backend.put(user_id := new_id(), "Ann", store_picture(app))
    assert backend.delete(user_id).status_code == 204
    before = dump(app)
    answer = backend.refresh(user_id)
    assert (answer.status_code, answer.json["photos"][str(user_id)]["status"]) == (202, "none")
    assert answer.json["photos"][str(user_id)]["photo_url"] is None
    assert (queued(app), dump(app)) == ([], before)


def test_a_profile_is_looked_up_once_a_minute_and_a_second_request_waits_for_its_end(
    app: Flask, backend: Backend
) -> None:
    web_context, user_id = get_web_context(app), new_id()
    show(app, user_id, store_picture(app))
    backend.refresh(user_id)
    look_up(app, user_id)
    for _ in range(3):
        assert backend.refresh(user_id).json["photos"][str(user_id)]["status"] == "ready"
    assert queued(app) == [Subject.of_person(user_id)]
    at = web_context.redis.zscore(web_context.keys.schedule, Subject.of_person(user_id))
    assert at
    assert at - web_context.redis.time()[0] <= REFRESHED_SECONDS + 1


def test_requests_before_the_look_up_are_one_message(app: Flask, backend: Backend) -> None:
    user_id = new_id()
    for _ in range(3):
        backend.refresh(user_id)
    assert queued(app) == [Subject.of_person(user_id)]


def test_an_empty_request_has_an_empty_answer_and_100_ids_are_accepted(backend: Backend) -> None:
    answer = backend.refresh()
    assert (answer.status_code, answer.json) == (202, {"photos": {}})
    assert len(backend.refresh(*(new_id() for _ in range(100))).json["photos"]) == 100


def test_without_a_place_in_the_queue_the_look_up_is_scheduled(
    app: Flask, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise ConnectionError

    monkeypatch.setattr("warmer.broker.publish.count_waiting", refuse)
    web_context, user_id = get_web_context(app), new_id()
    assert backend.refresh(user_id).status_code == 202
    at = web_context.redis.zscore(web_context.keys.schedule, Subject.of_person(user_id))
    assert at is not None
    seconds, micros = web_context.redis.time()
    assert at - seconds - micros / 1e6 == remaining(0)


def count_round_trips(backend: Backend, *user_ids: int) -> int:
    """Returns how often the web tier itself waits for Redis."""
    with counting() as by_thread:
        assert backend.refresh(*user_ids).status_code == 202
    return by_thread[threading.get_ident()]["ours"]


def test_the_round_trips_of_a_refresh_do_not_grow_with_the_ids(app: Flask, backend: Backend) -> None:
    ids = [new_id() for _ in range(100)]
    get_web_context(app).photos.publisher.sharing.is_on = False  # it looks at the workers once in some seconds
    backend.refresh(new_id())  # opens connections and loads scripts
    one, hundred = count_round_trips(backend, new_id()), count_round_trips(backend, *ids)
    look_up(app, *ids)
    backend.refresh(ids[0])
    again = count_round_trips(backend, *ids)
    assert (hundred, again) == (one, one + 1)  # the second time, the schedule is one more
    assert one <= 6


@pytest.mark.usefixtures("worker")
def test_a_changed_picture_is_served_after_a_refresh(
    app: Flask, client: FlaskClient, telegram: FakeTelegram, backend: Backend
) -> None:
    telegram.world.add_chat(group := -new_id(), "Us", picture=make_picture())
    backend.resolve(group)
    wait_until(lambda: backend.resolve(group).json["photos"][str(group)]["status"] == "ready")
    before = client.get(user_url(group)).headers["ETag"]
    telegram.world.change_photo(group, make_picture(color="red"))
    backend.resolve(group)
    assert client.get(user_url(group)).headers["ETag"] == before
    assert backend.refresh(group).json["photos"][str(group)]["status"] == "ready"
    wait_until(lambda: client.get(user_url(group)).headers.get("ETag") not in (before, None))
    telegram.world.hide_photo(group)
    look_up_again = get_web_context(app).keys.refreshed(Subject.of_person(group))
    get_web_context(app).redis.delete(look_up_again)  # a minute later
    backend.refresh(group)
    wait_until(lambda: client.get(user_url(group)).status_code == 404)
