"""Partners: register, list, get, forget; one bad element rejects the whole request."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from faketelegram import FakeTelegram
from tests.conftest import API_KEY, wait_until
from tests.support.redis_kinds import connect_broker, subscribed
from tests.support.web_parts import (
    as_user,
    body_of,
    dump,
    file_url,
    new_file_id,
    new_id,
    queued,
    store_picture,
    store_unavailable,
    user_url,
)
from warmer.broker.publish import LATER_SECONDS
from warmer.keys import Subject
from web.wiring import get_web_context

Headers = dict[str, str]
PARTNER_FIELDS = {
    "id", "name", "joined_at", "photo_file_id", "photo_status", "photo_ready", "photo_url", "photo_srcset",
    "photo_placeholder", "photo_version",
}  # fmt: skip
STATUS_FIELDS = {"status", "photo_url", "photo_srcset", "photo_placeholder", "photo_version"}


class Backend:
    """A backend's client."""

    def __init__(self, client: FlaskClient, headers: Headers) -> None:
        self.client, self.headers = client, headers

    def put(self, user_id: object, name: object = "Ann", photo: str | None = None) -> Any:
        body = {"name": name, "photo_file_id": photo} if photo else {"name": name}
        return self.client.put(f"/api/partner/{user_id}", json=body, headers=self.headers)

    def get(self, user_id: object) -> Any:
        return self.client.get(f"/api/partner/{user_id}", headers=self.headers)

    def delete(self, user_id: object) -> Any:
        return self.client.delete(f"/api/partner/{user_id}", headers=self.headers)

    def warm(self, *file_ids: object) -> Any:
        return self.client.post("/api/photos/warm", json={"photo_file_ids": file_ids}, headers=self.headers)

    def resolve(self, *ids: object) -> Any:
        return self.client.post("/api/photos/resolve", json={"ids": ids}, headers=self.headers)

    def recent(self, query: str = "") -> Any:
        return self.client.get(f"/api/partner/recent{query}", headers=self.headers)

    def recent_ids(self, query: str = "") -> list[int]:
        return [partner["id"] for partner in self.recent(query).json["partners"]]


@pytest.fixture
def backend(client: FlaskClient, as_server: Headers) -> Backend:
    return Backend(client, as_server)


def me(client: FlaskClient, user_id: int, first_name: str = "Ann", method: str = "POST") -> Any:
    return client.open("/api/partner/me", method=method, headers=as_user(user_id, first_name))


# Registering


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


def test_registering_again_changes_name_and_photo_but_not_the_position(backend: Backend) -> None:
    first, second = new_id(), new_id()
    joined_at = backend.put(first).json["joined_at"]
    backend.put(second)
    again = backend.put(first, "Ann Lee", new_file_id()).json
    assert (again["joined_at"], again["name"]) == (joined_at, "Ann Lee")
    assert backend.recent_ids() == [second, first]


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


# Pinned photos, and photos of the profile


def test_a_photo_of_a_put_stays_pinned_until_the_next_put(app: Flask, backend: Backend, client: FlaskClient) -> None:
    user_id, pinned, other = new_id(), store_picture(app), store_picture(app)
    assert backend.put(user_id, "Ann", pinned).json["photo_ready"]
    assert me(client, user_id, "Zoë").json["photo_file_id"] == pinned
    assert me(client, user_id, "Zoë").json["name"] == "Zoë"
    assert queued(app) == []  # no profile to look up
    assert backend.put(user_id, "Ann", other).json["photo_file_id"] == other


def test_a_put_without_a_photo_unpins_and_keeps_showing_the_old_one(app: Flask, backend: Backend) -> None:
    user_id, pinned = new_id(), store_picture(app)
    backend.put(user_id, "Ann", pinned)
    assert backend.put(user_id).json["photo_file_id"] == pinned
    assert queued(app) == [Subject.of_person(user_id)]


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
    assert 0 < turn - redis.time()[0] <= LATER_SECONDS + 1


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


@pytest.mark.usefixtures("worker")
def test_the_old_picture_stays_until_the_new_one_is_ready(
    client: FlaskClient, telegram: FakeTelegram, backend: Backend
) -> None:
    telegram.world.add_user(user_id := new_id(), "Ann")
    me(client, user_id)
    old = wait_until(lambda: backend.get(user_id).json["photo_ready"] and backend.get(user_id).json)
    telegram.world.change_photo(user_id)
    assert backend.put(user_id, "Ann").json["photo_file_id"] == old["photo_file_id"]
    new = wait_until(lambda: (found := backend.get(user_id).json)["photo_version"] != old["photo_version"] and found)
    assert new["photo_ready"]
    assert new["photo_placeholder"].startswith("data:image/webp;base64,")
    assert client.get(new["photo_url"]).status_code == 200
    assert client.get(user_url(user_id)).data == client.get(new["photo_url"]).data


# Lists


def test_a_list_has_20_partners_or_the_requested_number(backend: Backend) -> None:
    for _ in range(25):
        backend.put(new_id())
    assert [len(backend.recent_ids(query)) for query in ("", "?limit=1", "?limit=25", "?limit=100")] == [20, 1, 25, 25]


def test_an_empty_list_is_a_list(backend: Backend) -> None:
    assert backend.recent().json == {"partners": []}


ODD_LIMITS = [
    "0",
    "101",
    "-1",
    "abc",
    "",
    "1e2",
    "१",
    "1.0",
    "+5",
    " 5",
    "05",
    "0" * 30 + "5",
    "000000001" + "0" * 5000,
    "5&limit=5",
]


def test_a_malformed_limit_is_400(backend: Backend) -> None:
    answers = {limit: backend.recent(f"?limit={limit}") for limit in ODD_LIMITS}
    said = {limit: (answer.status_code, answer.mimetype) for limit, answer in answers.items()}
    assert {limit: one for limit, one in said.items() if one != (400, "application/problem+json")} == {}
    assert [limit for limit, answer in answers.items() if "limit" not in answer.json["detail"]] == []


# Statuses


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


# Forgetting


def test_a_delete_without_every_acknowledgement_is_503_and_says_so(
    app: Flask, backend: Backend, client: FlaskClient, redis: Redis
) -> None:
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
    app: Flask, backend: Backend, client: FlaskClient, telegram: FakeTelegram, accept: str
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
    assert not telegram.calls


def test_only_tombstones_remain_of_a_forgotten_partner(app: Flask, backend: Backend) -> None:
    user_id, file_id = new_id(), store_picture(app)
    store_picture(app, file_id, "jpeg")
    backend.put(user_id, "Ann Lee", file_id)
    backend.delete(user_id)
    left = [name for name in dump(app) if str(user_id) in name or file_id in name]
    assert sorted(name.rpartition(":")[2] for name in left) == ["forgotten", "forgotten"]


def test_a_picture_that_another_partner_shows_stays(app: Flask, backend: Backend, client: FlaskClient) -> None:
    leaver, stayer, file_id = new_id(), new_id(), store_picture(app)
    backend.put(leaver, "Ann", file_id), backend.put(stayer, "Bob", file_id)
    backend.delete(leaver)
    assert client.get(file_url(file_id)).status_code == client.get(user_url(stayer)).status_code == 200
    assert client.get(user_url(leaver)).status_code == 404
    backend.delete(stayer)
    assert client.get(file_url(file_id)).status_code == 404


def test_put_clears_the_tombstone(app: Flask, backend: Backend, client: FlaskClient) -> None:
    user_id, file_id = new_id(), store_picture(app)
    backend.put(user_id, "Ann", file_id)
    backend.delete(user_id)
    assert backend.put(user_id, "Ann", file_id).status_code == 201
    store_picture(app, file_id)
    assert client.get(user_url(user_id)).data == client.get(file_url(file_id)).data == body_of(file_id)


def test_me_clears_the_tombstone(app: Flask, client: FlaskClient) -> None:
    user_id = new_id()
    me(client, user_id), me(client, user_id, method="DELETE")
    assert me(client, user_id).status_code == 201
    assert not get_web_context(app).photos.store.get_unavailable(Subject.of_person(user_id))


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
