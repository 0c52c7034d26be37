"""Registering partners, with a pinned photo or the photo of the profile; one bad element rejects the whole request."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from tests.support.remaining import remaining
from tests.support.web_parts import as_user, dump, new_file_id, new_id, queued, store_picture, store_unavailable
from tests.web.api.conftest import Backend, me
from warmer.broker.publish import LATER_SECONDS
from warmer.keys import Subject
from web.wiring import get_web_context

PARTNER_FIELDS = {
    "id", "name", "joined_at", "photo_file_id", "photo_status", "photo_ready", "photo_url", "photo_srcset",
    "photo_placeholder", "photo_version",
}  # fmt: skip


def test_a_backend_registers_a_partner_with_201_and_then_200(backend: Backend) -> None:
    user_id, file_id = new_id(), new_file_id()
    answers = [backend.put(user_id, name, file_id) for name in ("Ann", "Ann Lee")]
    assert [(answer.status_code, answer.json["name"]) for answer in answers] == [(201, "Ann"), (200, "Ann Lee")]
    assert set(answers[0].json) == PARTNER_FIELDS
    assert answers[1].json == backend.get(user_id).json
    assert (answers[1].json["id"], answers[1].json["photo_file_id"]) == (user_id, file_id)


def test_a_user_registers_with_201_and_then_200(client: FlaskClient) -> None:
    user_id = new_id()
    answers = [me(client, user_id, name) for name in ("Ann", "Zoë")]
    assert [(answer.status_code, answer.json["name"]) for answer in answers] == [(201, "Ann"), (200, "Zoë")]
    assert me(client, user_id, method="GET").json == answers[1].json
    assert answers[0].json["photo_file_id"] is None


def test_the_newest_partners_come_first(backend: Backend, client: FlaskClient) -> None:
    ids = [new_id() for _ in range(6)]
    for position, user_id in enumerate(ids):
        me(client, user_id) if position % 2 else backend.put(user_id)
    assert backend.recent_ids() == ids[::-1]
    joined = [partner["joined_at"] for partner in backend.recent().json["partners"]]
    assert joined == sorted(joined, reverse=True)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", instant) for instant in joined)


@pytest.mark.parametrize("user_id", [0, -1001234567890, 2**52 - 1, -(2**52) + 1])
def test_users_groups_and_channels_can_be_partners(backend: Backend, user_id: int) -> None:
    assert backend.put(user_id).json["id"] == user_id
    assert backend.get(user_id).status_code == 200
    assert backend.delete(user_id).status_code == 204


def test_a_malformed_id_in_the_path_is_404(backend: Backend) -> None:
    wrong = []
    for name in ["042", "+5", "-0", "1e2", "5.0", "abc", "१", "5 ", str(2**52), str(-(2**52)), "9" * 300]:
        for method in ("PUT", "GET", "DELETE"):
            body = {"name": "Ann"} if method == "PUT" else None
            answer = backend.client.open(f"/api/partner/{name}", method=method, json=body, headers=backend.headers)
            if (answer.status_code, answer.mimetype) != (404, "application/problem+json"):
                wrong.append((method, name, answer.status_code))
    assert wrong == []


@pytest.mark.parametrize("name", ["A", "x" * 129, "🌈" * 129, "é", " ", "a\u200bb"])
def test_a_name_has_1_to_129_characters(backend: Backend, name: str) -> None:
    assert backend.put(new_id(), name).json["name"] == name


BAD_BODIES = [
    ({}, "name"),
    ({"name": ""}, "name"),
    ({"name": "x" * 130}, "name"),
    ({"name": 5}, "name"),
    ({"name": None}, "name"),
    ({"name": ["Ann"]}, "name"),
    ({"name": "a\u0000b"}, "name"),
    ({"name": "a\nb"}, "name"),
    ({"name": "a\u0085b"}, "name"),
    *(({"name": f"a{control}b"}, "name") for control in "\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069"),
    ({"name": "Ann", "photo_file_id": "x" * 19}, "photo_file_id"),
    ({"name": "Ann", "photo_file_id": "x" * 257}, "photo_file_id"),
    ({"name": "Ann", "photo_file_id": "x" * 20 + "."}, "photo_file_id"),
    ({"name": "Ann", "photo_file_id": "x" * 20 + "\n"}, "photo_file_id"),
    ({"name": "Ann", "photo_file_id": "user:" + "4" * 20}, "photo_file_id"),
    ({"name": "Ann", "photo_file_id": 42}, "photo_file_id"),
    ({"name": "Ann", "photo_file_id": ""}, "photo_file_id"),
    ({"name": "Ann", "photo": "x"}, "photo"),
    ([], "body"),
    ("Ann", "body"),
]


@pytest.mark.parametrize(("body", "field"), BAD_BODIES)
def test_a_wrong_field_is_422_and_named_and_changes_nothing(
    app: Flask, backend: Backend, body: Any, field: str
) -> None:
    before = dump(app)
    answer: Any = backend.client.put(f"/api/partner/{new_id()}", json=body, headers=backend.headers)
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert field in answer.json["detail"]
    assert dump(app) == before


def test_every_wrong_field_is_named(backend: Backend) -> None:
    answer = backend.put(new_id(), "", "short")
    assert [error["field"] for error in answer.json["errors"]] == ["name", "photo_file_id"]


@pytest.mark.parametrize(
    ("route", "body", "field"),
    [
        ("warm", {"photo_file_ids": ["A" * 30] * 101}, "photo_file_ids"),
        ("warm", {"photo_file_ids": ["A" * 30, "B" * 30, "C"]}, "photo_file_ids.2"),
        ("warm", {"photo_file_ids": "A" * 30}, "photo_file_ids"),
        ("warm", {"ids": [1]}, "photo_file_ids"),
        ("resolve", {"ids": list(range(101))}, "ids"),
        ("resolve", {"ids": [1, "2"]}, "ids.1"),
        ("resolve", {"ids": [1, 2.0]}, "ids.1"),
        ("resolve", {"ids": [True]}, "ids.0"),
        ("resolve", {"ids": [1, 2**52]}, "ids.1"),
        ("resolve", {"ids": [-(2**52), 1]}, "ids.0"),
        ("resolve", {"ids": [10**30]}, "ids.0"),
        ("resolve", {"ids": None}, "ids"),
        ("resolve", {"ids": {"1": 2}}, "ids"),
        ("refresh", {"ids": list(range(101))}, "ids"),
        ("refresh", {"ids": [1, "2"]}, "ids.1"),
        ("refresh", {"ids": [1, 2**52]}, "ids.1"),
        ("refresh", {"photo_file_ids": ["A" * 30]}, "ids"),
    ],
)  # fmt: skip
def test_one_bad_element_rejects_the_whole_request(
    app: Flask, backend: Backend, route: str, body: Any, field: str
) -> None:
    before = dump(app)
    answer: Any = backend.client.post(f"/api/photos/{route}", json=body, headers=backend.headers)
    assert answer.status_code == 422
    assert field in [error["field"] for error in answer.json["errors"]]
    assert dump(app) == before


def test_a_photo_of_a_put_stays_pinned_until_the_next_put(app: Flask, backend: Backend, client: FlaskClient) -> None:
    user_id, pinned, other = new_id(), store_picture(app), store_picture(app)
    assert backend.put(user_id, "Ann", pinned).json["photo_ready"]
    assert me(client, user_id, "Zoë").json["photo_file_id"] == pinned
    assert me(client, user_id, "Zoë").json["name"] == "Zoë"
    assert queued(app) == []  # no profile to look up
    assert backend.put(user_id, "Ann", other).json["photo_file_id"] == other


def test_a_pinned_photo_is_warmed_and_otherwise_the_profile_is_looked_up(app: Flask, backend: Backend) -> None:
    pinned, follows = new_file_id(), new_id()
    backend.put(new_id(), "Ann", pinned)
    backend.put(follows)
    assert queued(app) == [pinned, Subject.of_person(follows)]


def test_a_user_who_registers_again_is_looked_up_again(app: Flask, client: FlaskClient, redis: Redis) -> None:
    user_id = new_id()
    store_unavailable(app, Subject.of_person(user_id))
    answer = me(client, user_id)
    assert (answer.json["photo_status"], answer.json["photo_url"] is None) == ("warming", False)
    assert queued(app) == [Subject.of_person(user_id)]
    redis.flushall()
    assert me(client, user_id).status_code == 201


def test_a_second_registration_within_a_minute_is_only_scheduled(app: Flask, client: FlaskClient, redis: Redis) -> None:
    me(client, user_id := new_id())
    redis.delete(*redis.scan_iter("*:enqueued:*"))
    assert me(client, user_id).status_code == 200
    assert queued(app) == [Subject.of_person(user_id)]
    web_context = get_web_context(app)
    turn: Any = redis.zscore(web_context.keys.schedule, Subject.of_person(user_id))
    seconds, micros = redis.time()
    assert turn - seconds - micros / 1e6 == remaining(LATER_SECONDS)


def test_the_eleventh_registration_of_a_user_within_a_minute_is_429(client: FlaskClient) -> None:
    caller, other = new_id(), new_id()
    assert [me(client, caller).status_code for _ in range(10)] == [201] + [200] * 9
    refused = me(client, caller)
    assert (refused.status_code, refused.mimetype) == (429, "application/problem+json")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert me(client, other).status_code == 201
    assert client.delete("/api/partner/me", headers=as_user(caller)).status_code == 204


@pytest.mark.parametrize("times", [1, 10])
def test_rate_limit_keys_do_not_contain_the_user_id(client: FlaskClient, redis: Redis, times: int) -> None:
    user_id = new_id()
    for _ in range(times):
        me(client, user_id)
    counters = [key.decode() for key in redis.scan_iter("*:limits:*")]
    assert len(counters) == 1
    assert str(user_id) not in counters[0]
    assert 0 < redis.ttl(counters[0]) <= 60


# The names `recent` and `me` in place of an id


ALLOWED = {
    "recent": {"GET", "HEAD", "OPTIONS"},
    "me": {"GET", "HEAD", "OPTIONS", "POST", "DELETE"},
    "42": {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"},
    "men": {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"},
}


@pytest.mark.parametrize("name", ALLOWED)
def test_options_lists_the_methods_of_a_path(client: FlaskClient, name: str) -> None:
    answer = client.options(f"/api/partner/{name}")
    assert (answer.status_code, set(answer.allow)) == (200, ALLOWED[name])


@pytest.mark.parametrize(("method", "name"), [("PUT", "me"), ("PUT", "recent"), ("DELETE", "recent"), ("POST", "42")])
def test_other_methods_are_405(client: FlaskClient, as_server: dict[str, str], method: str, name: str) -> None:
    answer = client.open(f"/api/partner/{name}", method=method, json={"name": "Ann"}, headers=as_server)
    assert (answer.status_code, set(answer.allow)) == (405, ALLOWED[name])
