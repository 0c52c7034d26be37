"""Authentication: who may use which route, wrong keys, and where a credential counts."""

from __future__ import annotations

import hmac
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from limits import RateLimitItemPerHour, RateLimitItemPerMinute

from tests.conftest import API_KEY
from tests.support.web_parts import MakeApp, as_user, file_url, init_data, new_file_id
from tests.web.api.conftest import ask
from web.api.rate_limit import WRONG_KEYS_PER_MINUTE, WRONG_KEYS_PER_MINUTE_OF_A_PEER, find_client_address
from web.wiring import get_web_context

ANN = {"id": 42, "first_name": "Ann"}
USER_ROUTES = [("POST", "/api/partner/me"), ("GET", "/api/partner/me"), ("DELETE", "/api/partner/me")]
SERVER_ROUTES = [
    ("PUT", "/api/partner/42"), ("GET", "/api/partner/42"), ("DELETE", "/api/partner/42"),
    ("POST", "/api/photos/warm"), ("POST", "/api/photos/resolve"), ("POST", "/api/photos/refresh"), ("GET", "/metrics"),
]  # fmt: skip
SHARED_ROUTES = [("GET", "/api/partner/recent")]
OPEN_ROUTES = ["/", "/healthz", "/readyz", "/static/page.css"]


def test_without_a_valid_credential_every_route_is_401_and_names_the_schemes(client: FlaskClient) -> None:
    wrong = []
    for method, path in USER_ROUTES + SERVER_ROUTES + SHARED_ROUTES:
        for_user = (method, path) in USER_ROUTES + SHARED_ROUTES
        for_server = (method, path) in SERVER_ROUTES + SHARED_ROUTES
        for credential in (None, "", "Bearer", "Bearer no", f"Basic {API_KEY}", "tma", "tma x=1", API_KEY):
            headers = {} if credential is None else {"Authorization": credential}
            answer = client.open(path, method=method, headers=headers)
            wanted = answer.headers.get("WWW-Authenticate", "")
            said = (answer.status_code, answer.mimetype, "tma " in wanted, "Bearer " in wanted)
            if said != (401, "application/problem+json", for_user, for_server):
                wrong.append((method, path, credential, said))
    assert wrong == []


def test_a_backend_is_refused_on_user_routes_and_a_user_on_those_of_a_backend(
    client: FlaskClient, as_server: dict[str, str]
) -> None:
    refused = [*((route, as_server) for route in USER_ROUTES), *((route, as_user(42)) for route in SERVER_ROUTES)]
    answers = {route: client.open(route[1], method=route[0], headers=headers) for route, headers in refused}
    said = {route: (answer.status_code, answer.mimetype) for route, answer in answers.items()}
    assert {route: one for route, one in said.items() if one != (403, "application/problem+json")} == {}


@pytest.mark.parametrize("path", OPEN_ROUTES)
def test_page_and_health_routes_need_no_credential(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer  "])
def test_the_scheme_is_case_insensitive(client: FlaskClient, scheme: str) -> None:
    assert ask(client, f"{scheme} {API_KEY}") == 200


@pytest.mark.usefixtures("redis", "telegram")
@pytest.mark.parametrize("key", ["the-first-api-key", "the-second-api-key", "ein-langer-schlüssel"])
def test_every_api_key_is_valid(key: str, make_app: MakeApp) -> None:
    client = make_app(api_keys="the-first-api-key, the-second-api-key,ein-langer-schlüssel").test_client()
    assert ask(client, f"Bearer {key}".encode().decode("latin-1")) == 200
    assert ask(client, f"Bearer {key}x") == 401
    assert ask(client, "Bearer the-first-api-key, the-second-api-key") == 401


# Wrong keys


def try_key(client: FlaskClient, key: str, peer: str = "127.0.0.1", forwarded_for: str = "") -> Any:
    headers = {"Authorization": f"Bearer {key}"} | ({"X-Forwarded-For": forwarded_for} if forwarded_for else {})
    return client.get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": peer})


def test_wrong_keys_are_limited_per_address_and_a_valid_key_is_never_refused(client: FlaskClient) -> None:
    answers = [try_key(client, f"guess-{number}", "8.8.8.8") for number in range(WRONG_KEYS_PER_MINUTE + 1)]
    assert {answer.status_code for answer in answers[:-1]} == {401}
    assert (answers[-1].status_code, answers[-1].mimetype) == (429, "application/problem+json")
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert try_key(client, API_KEY, "8.8.8.8").status_code == 200
    assert try_key(client, "guess", "8.8.4.4").status_code == 401


def test_a_wrong_password_counts_and_a_missing_or_forged_credential_of_another_kind_does_not(
    client: FlaskClient,
) -> None:
    for _ in range(WRONG_KEYS_PER_MINUTE):
        for credential in ("", "Bearer", "tma x=1", "Digest x"):
            assert ask(client, credential, "/ops") == 401
    statuses = [client.get("/ops", auth=("ops", "guess")).status_code for _ in range(WRONG_KEYS_PER_MINUTE + 1)]
    assert statuses == [401] * WRONG_KEYS_PER_MINUTE + [429]


def test_behind_a_proxy_each_client_has_its_own_limit_and_cannot_choose_another(client: FlaskClient) -> None:
    for number in range(WRONG_KEYS_PER_MINUTE):
        try_key(client, "guess", forwarded_for=f"1.1.1.{number}, 8.8.8.8")
    assert try_key(client, "guess", forwarded_for="9.9.9.9, 8.8.8.8").status_code == 429
    assert try_key(client, "guess", forwarded_for="8.8.8.8, 9.9.9.9").status_code == 401


@pytest.fixture
def limit_of_a_peer(app: Flask, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many wrong keys a connection may send: fewer, and in an hour, so that no window ends during a test."""
    limiter, limit = get_web_context(app).api.rate_limiter, RateLimitItemPerHour(100, namespace="wrong-key")
    assert limiter._of_a_peer == RateLimitItemPerMinute(WRONG_KEYS_PER_MINUTE_OF_A_PEER, namespace="wrong-key")
    monkeypatch.setattr(limiter, "_of_a_peer", limit)
    return limit.amount


def test_a_client_that_names_a_new_address_for_each_key_meets_the_limit_of_its_connection(
    app: Flask, client: FlaskClient, limit_of_a_peer: int
) -> None:
    redis = get_web_context(app).redis
    for number in range(limit_of_a_peer):
        try_key(client, "guess", "10.0.0.7", f"8.8.{number // 250}.{number % 250}")
    counted = redis.dbsize()
    answers = [try_key(client, "guess", "10.0.0.7", f"9.9.9.{number}") for number in range(9)]
    assert {answer.status_code for answer in answers} == {429}
    assert redis.dbsize() == counted  # no further address takes memory
    assert try_key(client, "guess", "10.0.0.8", "9.9.9.9").status_code == 401
    assert try_key(client, API_KEY, "10.0.0.7", "9.9.9.9").status_code == 200


def test_a_client_that_connects_from_many_addresses_of_its_network_meets_the_limit_of_one_connection(
    app: Flask, client: FlaskClient, limit_of_a_peer: int
) -> None:
    redis = get_web_context(app).redis
    for number in range(limit_of_a_peer):
        try_key(client, "guess", f"fd00:1:2:3::{number:x}", f"8.8.{number // 250}.{number % 250}")
    counted = redis.dbsize()
    assert try_key(client, "guess", "fd00:1:2:3::ffff", "9.9.9.9").status_code == 429
    assert redis.dbsize() == counted
    assert try_key(client, "guess", "fd00:1:2:4::ffff", "9.9.9.9").status_code == 401


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "8.8.8.8", "8.8.8.8"),
        ("10.0.0.7", "1.1.1.1, 8.8.8.8", "8.8.8.8"),
        ("10.0.0.7", "8.8.8.8:4711", "8.8.8.8"),
        ("10.0.0.7", "[2a00:1450:1:2::9]:4711", "2a00:1450:1:2::/64"),
        ("10.0.0.7", "8.8.8.8, unknown", "10.0.0.7"),
        ("10.0.0.7", "8.8.8.8,", "10.0.0.7"),
        ("", "8.8.8.8", "8.8.8.8"),
        ("", "", ""),
        ("8.8.4.4", "8.8.8.8", "8.8.4.4"),
        ("2a00:1450:1:2:3:4:5:6", "", "2a00:1450:1:2::/64"),
        ("::ffff:8.8.4.4", "8.8.8.8", "8.8.4.4"),
        ("::1", "8.8.8.8", "8.8.8.8"),
        ("fe80::1%eth0", "", "fe80::/64"),
    ],
)
def test_a_client_is_counted_under_the_address_that_it_cannot_choose(
    peer: str, forwarded_for: str, address: str
) -> None:
    assert find_client_address(peer, forwarded_for) == address


@pytest.mark.usefixtures("telegram")
def test_while_redis_is_away_a_wrong_key_is_still_401(make_app: MakeApp) -> None:
    client = make_app(redis_url="redis://127.0.0.1:1").test_client()
    assert [try_key(client, "guess").status_code for _ in range(WRONG_KEYS_PER_MINUTE + 2)][-1] == 401


@pytest.mark.usefixtures("redis", "telegram")
def test_a_credential_outside_the_header_does_not_count(client: FlaskClient) -> None:
    client.set_cookie("Authorization", f"Bearer {API_KEY}")
    for query in ("", init_data(ANN)):
        assert client.get(f"/api/partner/recent?{query}").status_code == 401


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch, client: FlaskClient) -> None:
    compared: list[bytes] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    ask(client, f"tma {init_data(ANN)}")
    ask(client, "Bearer no-key")
    client.get(file_url(new_file_id(), sig="A" * 22))
    assert len(compared) == 3


def test_no_answer_contains_the_token_or_a_key(app: Flask, client: FlaskClient) -> None:
    for path, headers in (("/", {}), ("/readyz", {}), ("/api/partner/recent", as_user(42))):
        text = client.get(path, headers=headers).get_data(as_text=True)
        assert "FAKE-TOKEN" not in text
        assert API_KEY not in text
    assert "FAKE-TOKEN" not in repr(app.extensions)
