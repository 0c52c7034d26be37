"""Lists of partners, and statuses of photos."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from faketelegram import FakeTelegram
from tests.conftest import wait_until
from tests.support.web_parts import new_file_id, new_id, queued, store_picture, store_unavailable
from tests.web.api.conftest import Backend, me
from warmer.keys import Subject

STATUS_FIELDS = {"status", "photo_url", "photo_srcset", "photo_placeholder", "photo_version"}


def test_a_list_has_20_partners_or_the_requested_number(backend: Backend) -> None:
    for _ in range(25):
        backend.put(new_id())
    assert [len(backend.recent_ids(query)) for query in ("", "?limit=1", "?limit=25", "?limit=100")] == [20, 1, 25, 25]


def test_an_empty_list_is_a_list(backend: Backend) -> None:
    assert backend.recent().json == {"partners": []}


ODD_LIMITS = [
    "0", "101", "-1", "abc", "", "1e2", "१", "1.0", "+5", " 5", "05", "0" * 30 + "5", "000000001" + "0" * 5000,
    "5&limit=5",
]  # fmt: skip


def test_a_malformed_limit_is_400(backend: Backend) -> None:
    answers = {limit: backend.recent(f"?limit={limit}") for limit in ODD_LIMITS}
    said = {limit: (answer.status_code, answer.mimetype) for limit, answer in answers.items()}
    assert {limit: one for limit, one in said.items() if one != (400, "application/problem+json")} == {}
    assert [limit for limit, answer in answers.items() if "limit" not in answer.json["detail"]] == []


@pytest.mark.parametrize("user_id", [42, -42, 0])
def test_an_unknown_partner_is_404(backend: Backend, user_id: int) -> None:
    assert backend.get(user_id).status_code == 404


def test_an_unregistered_user_is_404(client: FlaskClient) -> None:
    assert me(client, new_id(), method="GET").status_code == 404


def test_warm_answers_202_with_a_status_for_each_file_id(app: Flask, backend: Backend) -> None:
    ready, cold = store_picture(app), new_file_id()
    answer = backend.warm(ready, cold, ready)
    photos = answer.json["photos"]
    assert (answer.status_code, list(photos)) == (202, [ready, cold])
    assert [photos[one]["status"] for one in (ready, cold)] == ["ready", "warming"]
    assert all(set(status) == STATUS_FIELDS for status in photos.values())
    assert queued(app) == [cold]


def test_resolve_answers_200_with_a_status_for_each_id(app: Flask, backend: Backend) -> None:
    registered, hidden, unknown, group = new_id(), new_id(), new_id(), -new_id()
    backend.put(registered, "Ann", store_picture(app))
    store_unavailable(app, Subject.of_person(hidden))
    answer = backend.resolve(registered, hidden, unknown, group, registered)
    statuses = {name: status["status"] for name, status in answer.json["photos"].items()}
    assert answer.status_code == 200
    assert statuses == {str(registered): "ready", str(hidden): "none", str(unknown): "warming", str(group): "warming"}
    assert queued(app) == [Subject.of_person(unknown), Subject.of_person(group)]


def test_an_empty_request_has_an_empty_answer(backend: Backend) -> None:
    assert backend.warm().json == backend.resolve().json == {"photos": {}}


def test_100_elements_are_accepted(backend: Backend) -> None:
    assert len(backend.warm(*(new_file_id() for _ in range(100))).json["photos"]) == 100
    assert len(backend.resolve(*(new_id() for _ in range(100))).json["photos"]) == 100


@pytest.mark.usefixtures("worker")
def test_resolve_looks_up_unregistered_ids(client: FlaskClient, telegram: FakeTelegram, backend: Backend) -> None:
    telegram.world.add_user(user_id := new_id(), "Ann")
    telegram.world.add_user(hidden := new_id(), "Bob", picture=None)

    def settled() -> Any:
        photos = backend.resolve(user_id, hidden).json["photos"]
        return photos if "warming" not in {status["status"] for status in photos.values()} else None

    photos = wait_until(settled)
    assert [photos[str(one)]["status"] for one in (user_id, hidden)] == ["ready", "none"]
    assert client.get(photos[str(user_id)]["photo_url"]).status_code == 200
    assert backend.recent_ids() == []
