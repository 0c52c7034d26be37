"""The page at /: its content policy, the signed-in demo user, and access to the lookup field."""

from __future__ import annotations

import html
import re
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import create_environ, run_wsgi_app

from runner.demo import CALL_MS, CONNECTION_MS
from tests.support.redis_nodes import RedisServer
from tests.support.waiting import wait_until
from tests.support.web_parts import MakeApp, add_worker, as_user, file_url, new_id, queued, store_picture
from tests.web.pages.conftest import PAGE_KEY, sign_in
from warmer.keys import Subject
from warmer.observe.checks import Health
from web.api.rate_limit import WRONG_KEYS_PER_MINUTE
from web.pages.home import find_trouble, list_links
from web.wiring import get_web_context

NAMES = [b"look-up-id", b'id="look-up"']


def policy(answer: Any) -> dict[str, set[str]]:
    rules = [rule.split() for rule in answer.headers["Content-Security-Policy"].split(";")]
    return {name: set(values) for name, *values in rules}


def test_the_page_loads_only_its_own_resources(client: FlaskClient) -> None:
    answer = client.get("/")
    rules = policy(answer)
    assert (answer.status_code, answer.mimetype, rules["default-src"]) == (200, "text/html", {"'none'"})
    assert all(rules[name] == {"'self'"} for name in ("script-src", "style-src", "connect-src"))
    assert rules["frame-ancestors"] == {"'self'", "https://web.telegram.org"}
    assert {"base-uri", "form-action", "img-src"} <= set(rules)
    assert not any("unsafe" in value or value == "*" for values in rules.values() for value in values)
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.usefixtures("redis", "telegram")
def test_the_public_url_is_allowed_for_pictures_and_requests_only(make_app: MakeApp) -> None:
    app = make_app(public_url="https://cdn.example:8443/avatars")
    rules = policy(app.test_client().get("/"))
    assert rules["img-src"] == {"'self'", "data:", "https://cdn.example:8443"}
    assert rules["connect-src"] == {"'self'", "https://cdn.example:8443"}
    assert rules["script-src"] == {"'self'"}


def test_the_page_obeys_its_own_policy(client: FlaskClient) -> None:
    text = client.get("/").get_data(as_text=True)
    assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>|<style|\bstyle=|\bon\w+=|javascript:", text) == []
    assert not re.findall(r'(?:src|href)="https?://(?!t\.me/)', text)


def test_with_a_real_token_no_user_is_signed_in(app: Flask, client: FlaskClient) -> None:
    get_web_context(app).photos.people.register(new_id(), "Ann", None)
    assert b"data-init-data" not in client.get("/").data


def test_in_the_demo_the_page_key_signs_the_newest_partner_in(demo_app: Flask) -> None:
    client, user_id = sign_in(demo_app.test_client()), new_id()
    assert b"data-init-data" not in client.get("/").data  # no partner yet
    get_web_context(demo_app).photos.people.register(user_id, "Ann Lee <b>&'\"", None)
    found = re.search(r'data-init-data="([^"]+)"', client.get("/").get_data(as_text=True))
    assert found
    headers = {"Authorization": f"tma {html.unescape(found[1])}"}
    partner: Any = client.post("/api/partner/me", headers=headers).json
    assert (partner["id"], partner["name"]) == (user_id, "Ann Lee <b>&'\"")


@pytest.mark.parametrize("cookie", ["", "None", PAGE_KEY[:-1]])
def test_without_the_page_key_a_demo_signs_nobody_in_and_says_which_url_does(demo_app: Flask, cookie: str) -> None:
    get_web_context(demo_app).photos.people.register(new_id(), "Ann", None)
    client = demo_app.test_client()
    client.set_cookie("avatar_warmer_8000", cookie)
    page = client.get("/").data
    assert b"data-init-data" not in page
    assert b"/?key=" in page


def test_the_demo_is_named_and_has_no_lookup_field(demo_app: Flask) -> None:
    page = sign_in(demo_app.test_client()).get("/").data
    assert b"Demo" in page
    assert not any(name in page for name in NAMES)


def test_the_page_names_the_bot_that_a_worker_reported(app: Flask, client: FlaskClient) -> None:
    assert b"https://t.me/" not in client.get("/").data
    add_worker(app, bot="ok", bot_name="<Warm & Co>", bot_username="warm_bot")
    wait_until(lambda: b"https://t.me/warm_bot" in client.get("/").data)  # a visitor's page may be a second old
    page = client.get("/").get_data(as_text=True)
    assert "&lt;Warm &amp; Co&gt;" in page
    assert "<Warm" not in page


DOWN = {
    "unauthorized": "Telegram refuses the bot token",
    "logged_out": "The bot is logged out here",
    "unreachable": "Telegram does not answer",
}


@pytest.mark.parametrize(("state", "words"), DOWN.items())
def test_the_state_of_a_bot_that_is_down_takes_the_place_of_the_lookup_field(
    run_app: Flask, state: str, words: str
) -> None:
    add_worker(run_app, bot=state, bot_name="Warm", bot_username="warm_bot")
    operator, visitor = sign_in(run_app.test_client()), run_app.test_client()
    page = operator.get("/").data
    assert words.encode() in page
    assert not any(name in page for name in NAMES)
    page = visitor.get("/").data
    assert words.encode() not in page, "a visitor knows the bot and can do nothing about its state"
    assert b"https://t.me/warm_bot" in page
    add_worker(run_app, bot="ok", bot_name="Warm", bot_username="warm_bot")
    page = operator.get("/").data
    assert words.encode() not in page
    assert all(name in page for name in NAMES)


def test_while_one_call_fails_for_every_picture_it_is_named_in_place_of_the_lookup_field(run_app: Flask) -> None:
    add_worker(run_app, bot="ok", bot_name="Warm", bot_username="warm_bot")
    client = sign_in(run_app.test_client())
    assert all(name in client.get("/").data for name in NAMES)
    get_web_context(run_app).pages.budget.begin_outage("download")
    page = client.get("/").data
    assert b"<code>download</code> fails for all of them" in page
    assert not any(name in page for name in NAMES)
    assert client.get("/readyz").get_json()["checks"]["bot"] == "unreachable"


def test_an_outage_of_every_call_is_told_as_no_answer(run_app: Flask) -> None:
    add_worker(run_app, bot="unreachable", bot_name="Warm", bot_username="warm_bot")
    get_web_context(run_app).pages.budget.begin_outage("getFile")
    assert b"Telegram does not answer" in sign_in(run_app.test_client()).get("/").data


def test_a_right_that_redis_denies_is_not_told_as_a_redis_that_is_away() -> None:
    checks = {"redis": "denied", "broker": "ok", "worker": "unknown", "beat": "unknown", "bot": "unknown"}
    assert find_trouble(Health(checks, can_read=False)) == "redis_denied"


def test_a_pause_of_telegram_takes_the_place_of_the_lookup_field(run_app: Flask) -> None:
    add_worker(run_app, bot="unreachable", bot_name="Warm", bot_username="warm_bot")
    get_web_context(run_app).pages.budget.pause(30)
    page = sign_in(run_app.test_client()).get("/").data
    assert b"Telegram asked for a pause" in page
    assert not any(name in page for name in NAMES)


def test_without_a_worker_the_page_says_so_to_everyone(run_app: Flask) -> None:
    for client in (sign_in(run_app.test_client()), run_app.test_client()):
        page = client.get("/").data
        assert b"No worker is running" in page
        assert not any(name in page for name in NAMES)
    add_worker(run_app)
    wait_until(lambda: b"No word from the bot yet" in run_app.test_client().get("/").data)


def test_without_redis_the_page_says_so(tmp_path: Path, make_app: MakeApp) -> None:
    app = make_app(redis_url=f"unix://{tmp_path}/nothing.sock", page_key=PAGE_KEY)
    page = sign_in(app.test_client()).get("/").data
    assert b"Redis does not answer" in page
    assert not any(name in page for name in NAMES)


@pytest.mark.parametrize(("state", "words"), DOWN.items())
def test_a_bot_that_was_never_reached_is_shown_as_down_to_everyone(run_app: Flask, state: str, words: str) -> None:
    add_worker(run_app, bot=state)
    assert words.encode() in run_app.test_client().get("/").data


# The demo's links


def test_the_demo_leads_to_docs_operations_flower_and_source(demo_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    named = Message()
    named["Project-URL"] = "Documentation, https://docs.example/a, b"
    named["Project-URL"] = "Source, https://source.example"
    monkeypatch.setattr("web.pages.home.metadata", lambda _: named)
    get_web_context(demo_app).photos.people.register(new_id(), "Ann", None)
    page = sign_in(demo_app.test_client()).get("/").get_data(as_text=True)
    links = re.findall(r'<a href="([^"]+)">(\w+)</a>', page)
    docs = "docs/tutorial.md" if "docs" in demo_app.blueprints else "https://docs.example/a, b"
    assert links == [
        (docs, "Docs"), ("ops", "Operations"), ("http://127.0.0.1:5555/", "Flower"),
        ("https://source.example", "Source"),
    ]  # fmt: skip
    assert sign_in(demo_app.test_client()).get("/ops").status_code == 200


def test_the_page_of_a_bot_of_ones_own_leads_its_operator_alone_to_docs_and_operations(
    run_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.pages.home.metadata", lambda _: Message())
    page = sign_in(run_app.test_client()).get("/").get_data(as_text=True)
    docs = [("docs/tutorial.md", "Docs")] if "docs" in run_app.blueprints else []
    assert re.findall(r'<a href="([^"]+)">(\w+)</a>', page) == [*docs, ("ops", "Operations")]
    assert b"Operations" not in run_app.test_client().get("/").data


def test_the_demo_shows_no_link_to_a_placeholder(demo_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    named = Message()
    named["Project-URL"] = "Source, https://example.org/avatar-warmer"
    monkeypatch.setattr("web.pages.home.metadata", lambda _: named)
    with demo_app.app_context():
        names = [name for name, _ in list_links(get_web_context(demo_app).settings)]
    assert "Source" not in names
    assert {"Operations", "Flower"} <= {*names}


def test_the_demo_says_how_slow_its_telegram_is(demo_app: Flask) -> None:
    page = demo_app.test_client().get("/").get_data(as_text=True)
    assert f"a call takes {CALL_MS} ms, a new connection {CONNECTION_MS} ms" in page


# Access to the lookup


@pytest.fixture
def run_app(redis: object, telegram: object, make_app: MakeApp) -> Flask:
    """The web tier as `scripts/run` starts it, with a page key."""
    return make_app(page_key=PAGE_KEY, port=8123)


def test_the_printed_url_signs_the_browser_in_and_leaves_no_key_in_its_address(run_app: Flask) -> None:
    add_worker(run_app)
    client = run_app.test_client()
    assert NAMES[0] not in client.get("/").data
    assert client.post("/try", json={"id": 42}).status_code == 401
    answer = client.get(f"/?key={PAGE_KEY}")
    assert (answer.status_code, answer.headers["Location"], answer.headers["Cache-Control"]) == (303, "./", "no-store")
    assert answer.headers["Set-Cookie"] == f"avatar_warmer_8123={PAGE_KEY}; HttpOnly; SameSite=Strict"
    assert all(name in client.get("/").data for name in NAMES)
    assert client.post("/try", json={"id": 42}).status_code == 200


@pytest.mark.parametrize("key", ["", "x", PAGE_KEY[:-1], PAGE_KEY + "x", "ä", "%FF"])
def test_a_wrong_page_key_opens_nothing(run_app: Flask, key: str) -> None:
    client = run_app.test_client()
    answer = client.get(f"/?key={key}")
    assert (answer.status_code, answer.mimetype) == (403, "application/problem+json")
    assert "Set-Cookie" not in answer.headers
    client.set_cookie("avatar_warmer_8123", key)
    assert client.post("/try", json={"id": 42}).status_code == 401


def test_wrong_page_keys_are_limited_per_address_and_the_right_one_is_never_refused(run_app: Flask) -> None:
    client = run_app.test_client()
    statuses = [client.get(f"/?key=guess-{number}").status_code for number in range(WRONG_KEYS_PER_MINUTE + 1)]
    assert statuses == [403] * WRONG_KEYS_PER_MINUTE + [429]
    assert client.get(f"/?key={PAGE_KEY}").status_code == 303


def test_without_a_page_key_only_an_api_key_opens_the_field(client: FlaskClient, as_server: dict[str, str]) -> None:
    assert client.get(f"/?key={PAGE_KEY}").status_code == 200  # the page, for everyone
    for cookie in ("", "None", PAGE_KEY):
        client.set_cookie("avatar_warmer_8000", cookie)
        assert NAMES[0] not in client.get("/").data
        assert client.post("/try", json={"id": 42}).status_code == 401
    assert client.post("/try", json={"id": 42}, headers=as_server).status_code == 200
    assert client.post("/try", json={"id": 42}, headers=as_user(42)).status_code == 403


def test_a_refused_lookup_opens_no_password_prompt_over_the_page(client: FlaskClient) -> None:
    wanted = client.post("/try", json={"id": 42}).headers["WWW-Authenticate"]
    assert wanted == 'Bearer realm="avatar-warmer"'


# Names that lead to a demo


def test_a_demo_answers_every_route_under_the_names_of_its_machine(demo_app: Flask) -> None:
    hosts = ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:8000", "127.1.2.3:80", "[::1]", "[::1]:8000"]
    assert [host for host in hosts if ask_demo(demo_app, host) != {200}] == []


def test_a_demo_refuses_every_route_under_any_other_name(demo_app: Flask) -> None:
    get_web_context(demo_app).photos.people.register(new_id(), "Ann", None)
    hosts = [
        "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "evil-localhost",
        "127.0.0.1@evil.example", "evil.example@127.0.0.1", "[::1]evil.example", "[::1].evil.example:80",
        "[::ffff:10.0.0.1]", "[2001:db8::1]:8000", "192.168.1.5:8000", "10.0.0.1", "0.0.0.0:8000", "127.0.0.999999",
        "127.0.0.1, evil.example", "", None,
    ]  # fmt: skip
    assert [host for host in hosts if ask_demo(demo_app, host) != {403}] == []


def test_a_demo_says_what_is_wrong_with_a_request_that_names_no_host(demo_app: Flask) -> None:
    environ = create_environ("/")
    del environ["HTTP_HOST"]
    assert run_wsgi_app(demo_app, environ)[1] == "400 BAD REQUEST"


@pytest.mark.parametrize(
    ("target", "status"), [("http://evil.example/", 403), ("http://127.0.0.1:8000/", 200), ("*", 200)]
)
def test_the_name_in_an_absolute_target_counts_beside_that_in_host(demo_app: Flask, target: str, status: int) -> None:
    answer = demo_app.test_client().get("/", headers={"Host": "127.0.0.1"}, environ_overrides={"RAW_URI": target})
    assert answer.status_code == status


def ask_demo(app: Flask, host: str | None) -> set[int]:
    """The statuses of some routes under this name; None: HTTP/1.0 without a name."""
    picture, statuses = file_url(store_picture(app)), set()
    for path in ("/", "/healthz", "/openapi.json", "/static/page.css", picture):
        environ = create_environ(path)
        environ |= {"SERVER_PROTOCOL": "HTTP/1.0", "HTTP_HOST": host, "HTTP_ACCEPT": "image/webp"}
        if host is None:
            del environ["HTTP_HOST"]
        body, status, _ = run_wsgi_app(app, environ, buffered=True)
        assert status == "200 OK" or b"data-init-data" not in b"".join(body)
        statuses.add(int(status[:3]))
    return statuses


def test_a_foreign_page_cannot_use_the_lookup(client: FlaskClient, as_server: dict[str, str]) -> None:
    foreign = {"Origin": "https://evil.example"}
    simple = client.post("/try", data='{"id": 42}', content_type="text/plain", headers=foreign | as_server)
    preflight = client.options("/try", headers={**foreign, "Access-Control-Request-Method": "POST"})
    assert simple.status_code == 415
    assert not any(name.startswith("Access-Control-Allow") for name, _ in (*simple.headers, *preflight.headers))


def test_a_lookup_returns_the_status_and_enqueues_a_missing_picture(
    app: Flask, client: FlaskClient, as_server: dict[str, str]
) -> None:
    user_id = new_id()
    answer: Any = client.post("/try", json={"id": user_id}, headers=as_server)
    assert (answer.status_code, answer.json["id"], answer.json["status"]) == (200, user_id, "warming")
    assert queued(app) == [Subject.of_person(user_id)]


@pytest.mark.parametrize("body", [{}, {"id": "42"}, {"id": 2**52}, {"id": 1.5}, {"id": 42, "more": 1}, []])
def test_a_malformed_id_in_a_lookup_is_422(client: FlaskClient, body: Any, as_server: dict[str, str]) -> None:
    assert client.post("/try", json=body, headers=as_server).status_code == 422


def test_the_page_works_without_redis(tmp_path: Path, telegram: object, make_app: MakeApp) -> None:
    with RedisServer(tmp_path) as server:
        client = make_app(redis_url=server.url).test_client()
        server.kill()
        assert client.get("/").status_code == 200
