"""Deleting partners, and clearing their tombstones."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from tests.conftest import API_KEY
from tests.support.redis_kinds import connect_broker, subscribed
from tests.support.web_parts import body_of, file_url, new_id, queued, store_picture, user_url
from tests.web.api.conftest import Backend, me
from warmer.keys import Subject
from web.wiring import get_web_context


def test_a_delete_without_every_acknowledgement_is_503_and_says_so(
    app: Flask, backend: Backend, client: FlaskClient, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warmer.flow.forget.WAIT_SECONDS", 0.5)
    backend.put(user_id := new_id())
    with subscribed(redis, get_web_context(app).keys.acknowledge):
        answer = client.delete(f"/api/partner/{user_id}", headers={"Authorization": f"Bearer {API_KEY}"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert '"detail": "forgotten, but' in answer.text


def test_delete_is_204_for_unknown_partners_and_again(backend: Backend, client: FlaskClient) -> None:
    user_id = new_id()
    backend.put(user_id)
    assert [backend.delete(user_id).status_code for _ in range(3)] == [204] * 3
    assert me(client, new_id(), method="DELETE").status_code == 204
    assert (backend.get(user_id).status_code, backend.recent_ids()) == (404, [])


def test_a_user_deletes_only_their_own_record(backend: Backend, client: FlaskClient) -> None:
    mine, other = new_id(), new_id()
    backend.put(mine), backend.put(other)
    assert me(client, mine, method="DELETE").data == b""
    assert backend.recent_ids() == [other]


def list_urls(partner: dict[str, Any]) -> list[str]:
    return [partner["photo_url"], *(part.split(" ")[0] for part in partner["photo_srcset"].split(", "))]


@pytest.mark.parametrize("accept", ["image/webp", "image/jpeg"])
def test_after_a_delete_every_url_is_404_and_enqueues_nothing(
    app: Flask, backend: Backend, client: FlaskClient, accept: str
) -> None:
    user_id, old, new = new_id(), store_picture(app), store_picture(app)
    urls = [user_url(user_id), *list_urls(backend.put(user_id, "Ann", old).json)]
    urls += list_urls(backend.put(user_id, "Ann", new).json)
    assert {client.get(url).status_code for url in urls} == {200}
    backend.delete(user_id)
    web_context = get_web_context(app)
    connect_broker(web_context.settings).delete(f"{web_context.keys.queue_prefix}warm")
    answers = [client.get(url, headers={"Accept": accept}) for url in urls]
    assert {(answer.status_code, answer.headers["Cache-Control"]) for answer in answers} == {
        (404, "public, max-age=60")
    }
    assert queued(app, "hot") == queued(app, "warm") == queued(app, "rewarm") == []


def test_put_clears_the_tombstone(app: Flask, backend: Backend, client: FlaskClient) -> None:
    user_id, file_id = new_id(), store_picture(app)
    backend.put(user_id, "Ann", file_id)
    backend.delete(user_id)
    assert backend.put(user_id, "Ann", file_id).status_code == 201
    store_picture(app, file_id)
    assert client.get(user_url(user_id)).data == client.get(file_url(file_id)).data == body_of(file_id)


def test_warm_clears_the_tombstone(app: Flask, backend: Backend) -> None:
    user_id, file_id = new_id(), store_picture(app)
    backend.put(user_id, "Ann", file_id)
    backend.delete(user_id)
    assert backend.warm(file_id).json["photos"][file_id]["status"] == "warming"
    assert file_id in queued(app)


def test_resolve_clears_the_tombstone(app: Flask, backend: Backend) -> None:
    user_id = new_id()
    backend.put(user_id, "Ann")
    backend.delete(user_id)
    assert backend.resolve(user_id).json["photos"][str(user_id)]["status"] == "warming"
    assert not get_web_context(app).photos.store.get_unavailable(Subject.of_person(user_id))


def test_get_does_not_clear_the_tombstone(app: Flask, backend: Backend) -> None:
    user_id = new_id()
    backend.put(user_id), backend.delete(user_id), backend.get(user_id), backend.recent()
    assert get_web_context(app).photos.store.get_unavailable(Subject.of_person(user_id))
