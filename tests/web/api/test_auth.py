"""Authentication: a Mini App's user by init data, or a backend by its key; only in the header."""

from __future__ import annotations

import hmac
import json
import time
from itertools import count
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import API_KEY
from tests.support.web_parts import MakeApp, as_user, file_url, init_data, new_file_id, new_id
from web.api.rate_limit import WRONG_KEYS_PER_MINUTE, WRONG_KEYS_PER_MINUTE_OF_A_PEER, find_client_address
from web.wiring import get_web_context

ANN = {"id": 42, "first_name": "Ann"}
USER_ROUTES = [("POST", "/api/partner/me"), ("GET", "/api/partner/me"), ("DELETE", "/api/partner/me")]
SERVER_ROUTES = [
    ("PUT", "/api/partner/42"),
    ("GET", "/api/partner/42"),
    ("DELETE", "/api/partner/42"),
    ("POST", "/api/photos/warm"),
    ("POST", "/api/photos/resolve"),
    ("GET", "/metrics"),
]
SHARED_ROUTES = [("GET", "/api/partner/recent")]
OPEN_ROUTES = ["/", "/healthz", "/readyz", "/static/page.css"]


def ask(client: FlaskClient, credential: str, path: str = "/api/partner/recent", method: str = "GET") -> int:
    return client.open(path, method=method, headers={"Authorization": credential}).status_code


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


@pytest.mark.parametrize(("method", "path"), USER_ROUTES)
def test_a_backend_is_refused_on_user_routes(
    client: FlaskClient, method: str, path: str, as_server: dict[str, str]
) -> None:
    answer = client.open(path, method=method, headers=as_server)
    assert (answer.status_code, answer.mimetype) == (403, "application/problem+json")


@pytest.mark.parametrize(("method", "path"), SERVER_ROUTES)
def test_a_user_is_refused_on_backend_routes(client: FlaskClient, method: str, path: str) -> None:
    answer = client.open(path, method=method, headers=as_user(42))
    assert (answer.status_code, answer.mimetype) == (403, "application/problem+json")


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


def test_a_client_that_names_a_new_address_for_each_key_meets_the_limit_of_its_connection(
    app: Flask, client: FlaskClient
) -> None:
    redis = get_web_context(app).redis
    for number in range(WRONG_KEYS_PER_MINUTE_OF_A_PEER):
        try_key(client, "guess", "10.0.0.7", f"8.8.{number // 250}.{number % 250}")
    counted = redis.dbsize()
    answers = [try_key(client, "guess", "10.0.0.7", f"9.9.9.{number}") for number in range(9)]
    assert {answer.status_code for answer in answers} == {429}
    assert redis.dbsize() == counted  # no further address takes memory
    assert try_key(client, "guess", "10.0.0.8", "9.9.9.9").status_code == 401
    assert try_key(client, API_KEY, "10.0.0.7", "9.9.9.9").status_code == 200


def test_a_client_that_connects_from_many_addresses_of_its_network_meets_the_limit_of_one_connection(
    app: Flask, client: FlaskClient
) -> None:
    redis = get_web_context(app).redis
    for number in range(WRONG_KEYS_PER_MINUTE_OF_A_PEER):
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
@pytest.mark.parametrize("place", ["query", "cookie"])
def test_a_credential_outside_the_header_does_not_count(client: FlaskClient, place: str) -> None:
    data = init_data(ANN)
    if place == "cookie":
        client.set_cookie("Authorization", f"Bearer {API_KEY}")
    assert client.get(f"/api/partner/recent?{data if place == 'query' else ''}").status_code == 401


def test_the_init_data_of_the_worked_example_is_valid(client: FlaskClient, make_app: MakeApp) -> None:
    """A fixed example, signed once by hand: the tests' own signatures could share a mistake with the code."""
    example = (
        "auth_date=1700000000&query_id=AAHdF6IQAAAAAN0XohDhrOrc"
        "&user=%7B%22id%22%3A42%2C%22first_name%22%3A%22Ann%22%7D"
        "&hash=d8661f38a24757a6906dcc1c1890aa7080f0a9bc00f6abb2189133871a0cc0b7"
    )
    app = make_app(init_data_max_age=10**9)
    assert ask(app.test_client(), f"tma {example}") == 200
    assert ask(client, f"tma {example}") == 401  # expired with the default setting


def test_the_order_of_the_fields_is_free_and_every_field_is_required(client: FlaskClient) -> None:
    data = init_data(ANN, more={"signature": "c2lnbmF0dXJl", "query_id": "AAH"})
    fields = data.split("&")
    assert ask(client, f"tma {'&'.join(reversed(fields))}") == 200
    for field in fields:
        assert ask(client, f"tma {'&'.join(other for other in fields if other != field)}") == 401


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


@pytest.mark.parametrize(
    "fields",
    [
        {"signature": "c2lnbmF0dXJl"},
        {"signature": ""},
        {"chat": '{"id":-1,"type":"group"}'},
        {"chat": "{", "receiver": "7", "can_send_after": "soon"},
        {"start_param": ""},
        {"query_id": "AAH", "chat_type": "private", "chat_instance": "-1", "something_new": "é = & + %"},
    ],
)
def test_every_field_except_hash_is_signed_including_empty_and_unknown_ones(
    client: FlaskClient, fields: dict[str, str]
) -> None:
    data = init_data(ANN, more=fields)
    assert ask(client, f"tma {data}") == 200
    name = list(fields)[-1]
    assert ask(client, "tma " + "&".join(pair for pair in data.split("&") if not pair.startswith(name))) == 401


def raw(text: str) -> str:
    """Encode only the field separators. UTF-8 in a header appears as Latin-1 in WSGI."""
    return text.replace("%", "%25").replace("&", "%26").replace("+", "%2B").encode().decode("latin-1")


@pytest.mark.parametrize("encode", [quote, raw])
@pytest.mark.parametrize("name", ["Ann", "Zoë", "李小龙", "🌈", "a&b=c+d%20", "\\u0041"])
def test_init_data_is_valid_percent_encoded_or_raw(client: FlaskClient, encode: Any, name: str) -> None:
    user_id = new_id()
    data = init_data({"id": user_id, "first_name": name}, encode=encode)
    answer = client.post("/api/partner/me", headers={"Authorization": f"tma {data}"})
    assert (answer.status_code, answer.json["name"]) == (201, name)  # type: ignore[index]


def test_json_spacing_and_escapes_of_the_user_do_not_matter(client: FlaskClient) -> None:
    user_id = new_id()
    data = init_data(f'{{ "first_name" : "\\u041c\\/x" ,\n"id":{user_id}, "is_premium": true, "new": [1] }}')
    answer = client.post("/api/partner/me", headers={"Authorization": f"tma {data}"})
    assert answer.json["name"] == "М/x"  # type: ignore[index]


def test_what_the_sign_function_of_tma_js_makes_is_good(make_app: MakeApp) -> None:
    """Made by @tma.js/init-data-node 2.0.8: it signs an empty `signature`, and this chat has no title."""
    example = (
        "user=%7B%22id%22%3A42%2C%22first_name%22%3A%22Ann%22%7D&chat=%7B%22id%22%3A-1%2C%22type%22%3A%22group%22%7D"
        "&auth_date=1700000000&signature=&hash=ea174a6aa64d8d69da1bd22958aa5ee0bbd6817049c30078c99c71113afb3449"
    )
    app = make_app(init_data_max_age=10**9, telegram_bot_token="5768337691:AAH5YkoiEuPk8-FZa32hStHTqXiLPtAEhx8")
    assert ask(app.test_client(), f"tma {example}") == 200
    assert ask(app.test_client(), f"tma {example.replace('group', 'grouq')}") == 401


@pytest.mark.parametrize("user", [{}, {"first_name": 7, "last_name": None, "username": []}, {"photo_url": 5}])
def test_a_field_of_another_type_is_read_as_missing(client: FlaskClient, user: dict[str, Any]) -> None:
    user_id = new_id()
    data = init_data({"id": user_id, **user})
    answer = client.post("/api/partner/me", headers={"Authorization": f"tma {data}"})
    assert (answer.status_code, answer.json["name"]) == (201, str(user_id))  # type: ignore[index]


GOOD = init_data(ANN)
NOW = int(time.time())


@pytest.mark.parametrize(
    "data",
    [
        GOOD.replace("Ann", "Bob"),
        GOOD[:-1] + ("0" if GOOD[-1] != "0" else "1"),
        GOOD + "&extra=1",
        GOOD + "&hash=" + "0" * 64,
        GOOD + "&auth_date=" + str(NOW),
        GOOD.replace("auth_date=", "Auth_Date="),
        GOOD.partition("&hash=")[0],
        GOOD.partition("hash=")[0] + "hash=",
        init_data(ANN, token="123456789:ANOTHER-TOKEN"),
        init_data(ANN, token=""),
        init_data(None),
        init_data(ANN, age=86_401),
        init_data(ANN, age=-3600),
        init_data(ANN, more={"auth_date": ""}),
        init_data(ANN, more={"auth_date": "0"}),
        init_data(ANN, more={"auth_date": "१"}),
        init_data(ANN, more={"auth_date": "99999999999999999999999"}),
        init_data(ANN, more={"auth_date": "253402300799"}),
        init_data(ANN, more={"auth_date": "-1"}),
        init_data(""),
        init_data("[]"),
        init_data("{"),
        init_data("[" * 3000),
        init_data('{"id":%s,"first_name":"Ann"}' % ("9" * 5000)),
        init_data({"id": 0, "first_name": "Ann"}),
        init_data({"id": -42, "first_name": "Ann"}),
        init_data({"id": 2**52, "first_name": "Ann"}),
        init_data({"id": "42", "first_name": "Ann"}),
        init_data({"id": 42.0, "first_name": "Ann"}),
        init_data({"id": True, "first_name": "Ann"}),
        init_data({"id": None, "first_name": "Ann"}),
        init_data({"first_name": "Ann"}),
        init_data(ANN, more={"auth_date": " 1"}),
        init_data(ANN, more={"auth_date": "1700000000.5"}),
        "%FF%FE=1&" + GOOD,
        GOOD + "&x=\xff",
        "&" * 1000,
        "=",
    ],
    ids=count(),  # the data contains the time of collection, and so would the test's name
)  # fmt: skip
def test_forged_stale_or_malformed_init_data_is_401(client: FlaskClient, data: str) -> None:
    assert ask(client, f"tma {data}") == 401


@pytest.mark.parametrize("age", [86_390, 0, -50])
def test_init_data_is_valid_for_a_day_with_a_clock_up_to_a_minute_ahead(client: FlaskClient, age: int) -> None:
    assert ask(client, f"tma {init_data(ANN, age=age)}") == 200


@pytest.mark.usefixtures("redis", "telegram")
def test_the_maximum_age_is_configurable(make_app: MakeApp) -> None:
    client = make_app(init_data_max_age=60).test_client()
    assert ask(client, f"tma {init_data(ANN, age=50)}") == 200
    assert ask(client, f"tma {init_data(ANN, age=70)}") == 401


@pytest.mark.parametrize(
    ("user", "name"),
    [
        ({"first_name": "Ann", "last_name": "Lee"}, "Ann Lee"),
        ({"first_name": " Ann\u0000\n", "last_name": "\tLee\x7f\u0085 "}, "Ann Lee"),
        ({"first_name": "👩🏽‍🚀 Luna", "last_name": ""}, "👩🏽‍🚀 Luna"),
        ({"first_name": "\u0000", "username": "annlee"}, "annlee"),
        ({"first_name": " ", "last_name": " ", "username": "annlee"}, "annlee"),
        ({"first_name": "A" * 64, "last_name": "B" * 64}, "A" * 64 + " " + "B" * 64),
        ({"first_name": "A" * 200}, "A" * 129),
        ({"first_name": "Ann\u202e", "last_name": "\u2066Lee\u2069\u2028\u2029"}, "Ann Lee"),
        ({"first_name": "\u200f\u202bעדה\u202c"}, "עדה"),
        ({"first_name": "می\u200cخواهم"}, "می\u200cخواهم"),
        ({"first_name": "\u3164", "username": "annlee"}, "annlee"),
        ({"first_name": "\u2800\u2800", "last_name": "\u3164", "username": "annlee"}, "annlee"),
        ({"first_name": "\u200b\u200c\u200d\u2060\ufeff\u00ad", "username": "annlee"}, "annlee"),
        ({"first_name": "\u115f\u1160\uffa0\u034f\ufe0f\U000e0020", "username": "annlee"}, "annlee"),
        ({"first_name": "\u3164" * 129 + "Ann", "username": "annlee"}, "annlee"),
        ({"first_name": "\u3164Ann\u3164"}, "\u3164Ann\u3164"),
    ],
)
def test_a_real_user_is_never_refused_because_of_the_name(client: FlaskClient, user: dict[str, str], name: str) -> None:
    answer = client.post("/api/partner/me", headers=as_user(new_id(), **user))
    assert (answer.status_code, answer.json["name"]) == (201, name)  # type: ignore[index]


def test_a_user_without_a_name_is_called_by_the_id(client: FlaskClient) -> None:
    user_id = new_id()
    for name in ("\u0000", "\u3164", "\u202e\u200b"):
        answer = client.post("/api/partner/me", headers=as_user(user_id, name))
        assert answer.json["name"] == str(user_id)  # type: ignore[index]


def test_lone_surrogates_are_removed_from_a_name(client: FlaskClient) -> None:
    user = json.dumps({"id": new_id(), "first_name": "\ud83dAnn\udc00", "username": "\ud800"})
    answer = client.post("/api/partner/me", headers={"Authorization": f"tma {init_data(user)}"})
    assert answer.json["name"] == "Ann"  # type: ignore[index]


def test_no_answer_contains_the_token_or_a_key(app: Flask, client: FlaskClient) -> None:
    for path, headers in (("/", {}), ("/readyz", {}), ("/api/partner/recent", as_user(42))):
        text = client.get(path, headers=headers).get_data(as_text=True)
        assert "FAKE-TOKEN" not in text
        assert API_KEY not in text
    assert "FAKE-TOKEN" not in repr(app.extensions)
