"""Init data: a Mini App's user is signed in by what Telegram signed, and is never refused because of a name."""

from __future__ import annotations

import json
import time
from itertools import count
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.support.web_parts import MakeApp, as_user, init_data, new_id
from tests.web.api.conftest import ask

ANN = {"id": 42, "first_name": "Ann"}


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


GOOD = init_data(ANN)


NOW = int(time.time())


@pytest.mark.parametrize(
    "data",
    [
        GOOD.replace("Ann", "Bob"), GOOD[:-1] + ("0" if GOOD[-1] != "0" else "1"), GOOD + "&extra=1",
        GOOD + "&hash=" + "0" * 64, GOOD + "&auth_date=" + str(NOW), GOOD.replace("auth_date=", "Auth_Date="),
        GOOD.partition("&hash=")[0], GOOD.partition("hash=")[0] + "hash=", init_data(ANN, token=""),
        init_data(ANN, token="123456789:ANOTHER-TOKEN"), init_data(ANN, age=86_401), init_data(ANN, age=-(10**6)),
        *(init_data(ANN, more={"auth_date": date}) for date in ("", "0", "१", "9" * 23, "253402300799", "-1", " 1")),
        init_data(ANN, more={"auth_date": "1700000000.5"}), init_data(None), init_data({"first_name": "Ann"}),
        *(init_data(user) for user in ("", "[]", "{", "[" * 3000)),
        init_data('{"id":%s,"first_name":"Ann"}' % ("9" * 5000)),
        *(init_data({"id": user_id, "first_name": "Ann"}) for user_id in (0, -42, 2**52, "42", 42.0, True, None)),
        "%FF%FE=1&" + GOOD, GOOD + "&x=\xff", "&" * 1000, "=",
    ],
    ids=count(),  # the data contains the time of collection, and so would the test's name
)  # fmt: skip
def test_forged_stale_or_malformed_init_data_is_401(client: FlaskClient, data: str) -> None:
    assert ask(client, f"tma {data}") == 401


@pytest.mark.parametrize("age", [86_340, 0, -50])
def test_init_data_is_valid_for_a_day_with_a_clock_up_to_a_minute_ahead(client: FlaskClient, age: int) -> None:
    assert ask(client, f"tma {init_data(ANN, age=age)}") == 200


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
        ({"first_name": "A\u2028nn\u202e", "last_name": "\u2066L\u2029ee\u2069"}, "Ann Lee"),
        ({"first_name": "\u200f\u202bעדה\u202c"}, "עדה"),
        ({"first_name": "می\u200cخواهم"}, "می\u200cخواهم"),
        ({"first_name": "\u3164", "username": "annlee"}, "annlee"),
        ({"first_name": "\u2800\u2800", "last_name": "\u3164", "username": "annlee"}, "annlee"),
        ({"first_name": "\u200b\u200c\u200d\u2060\ufeff\u00ad", "username": "annlee"}, "annlee"),
        ({"first_name": "\u115f\u1160\uffa0\u034f\u20dd\ufe0f\U000e0020", "username": "annlee"}, "annlee"),
        ({"first_name": "\u3164" * 129 + "Ann", "username": "annlee"}, "annlee"),
        ({"first_name": "\u3164Ann\u3164"}, "\u3164Ann\u3164"),
    ],
)
def test_a_real_user_is_never_refused_because_of_the_name(client: FlaskClient, user: dict[str, str], name: str) -> None:
    answer = client.post("/api/partner/me", headers=as_user(new_id(), **user))
    assert (answer.status_code, answer.json["name"]) == (201, name)  # type: ignore[index]


def test_lone_surrogates_are_removed_from_a_name(client: FlaskClient) -> None:
    user = json.dumps({"id": new_id(), "first_name": "\ud83dAnn\udc00", "username": "\ud800"})
    answer = client.post("/api/partner/me", headers={"Authorization": f"tma {init_data(user)}"})
    assert answer.json["name"] == "Ann"  # type: ignore[index]


@pytest.mark.parametrize(
    "user",
    [{}, {"first_name": 7, "last_name": None, "username": []}, {"photo_url": 5},
     *({"first_name": name} for name in ("\0", "\u3164", "\u202e\u200b"))],
)  # fmt: skip
def test_a_user_without_a_readable_name_is_called_by_the_id(client: FlaskClient, user: dict[str, Any]) -> None:
    user_id = new_id()
    data = init_data({"id": user_id, **user})
    answer = client.post("/api/partner/me", headers={"Authorization": f"tma {data}"})
    assert (answer.status_code, answer.json["name"]) == (201, str(user_id))  # type: ignore[index]
