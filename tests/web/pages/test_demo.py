"""The page at /: its content policy, the signed-in demo user, and access to the lookup field."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import wait_until
from tests.support.web_parts import MakeApp, new_id, private_redis, queued
from warmer.keys import Subject
from web.wiring import get_web_context

PROXIES = ["X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "X-Real-IP", "Via", "CF-Connecting-IP"]
NAMES = [b"look-up-id", b'id="look-up"']


@pytest.fixture
def demo_app(redis: object, telegram: object, make_app: MakeApp) -> Flask:
    return make_app(demo=True, host="127.0.0.1")


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


@pytest.mark.parametrize("name", ["page.js", "page.css", "lazy-image.js"])
def test_the_resources_of_the_page_exist(client: FlaskClient, name: str) -> None:
    answer = client.get(f"/static/{name}")
    assert answer.status_code == 200
    assert answer.mimetype in ("text/javascript", "text/css")


def test_imported_scripts_are_preloaded(client: FlaskClient) -> None:
    """Without a preload, the browser would request each script only after the previous one."""
    static = Path(str(client.application.static_folder))
    page = client.get("/").get_data(as_text=True)
    imported = {
        name
        for file in static.glob("*.js")
        for name in re.findall(r"(?:from|import) '\./([\w-]+\.js)'", file.read_text())
    }
    assert set(re.findall(r'rel="modulepreload" href="/static/([^"]+)"', page)) == imported


def test_with_a_real_token_no_user_is_signed_in(app: Flask, client: FlaskClient) -> None:
    get_web_context(app).photos.people.register(new_id(), "Ann", None)
    assert b"data-init-data" not in client.get("/").data


def test_in_the_demo_the_newest_partner_is_signed_in(demo_app: Flask) -> None:
    client, user_id = demo_app.test_client(), new_id()
    assert b"data-init-data" not in client.get("/").data  # no partner yet
    get_web_context(demo_app).photos.people.register(user_id, "Ann Lee <b>&'\"", None)
    found = re.search(r'data-init-data="([^"]+)"', client.get("/").get_data(as_text=True))
    assert found
    headers = {"Authorization": f"tma {html.unescape(found[1])}"}
    partner: Any = client.post("/api/partner/me", headers=headers).json
    assert (partner["id"], partner["name"]) == (user_id, "Ann Lee <b>&'\"")


def test_the_demo_is_named_and_has_no_lookup_field(demo_app: Flask) -> None:
    page = demo_app.test_client().get("/").data
    assert b"Demo" in page
    assert not any(name in page for name in NAMES)
    assert demo_app.test_client().post("/try", json={"id": 42}).status_code == 403


def test_the_page_names_the_bot_that_a_worker_reported(app: Flask, client: FlaskClient) -> None:
    web_context = get_web_context(app)
    assert b"https://t.me/" not in client.get("/").data
    status = {"name": "w", "bot": "ok", "bot_name": "<Warm & Co>", "bot_username": "warm_bot"}
    web_context.redis.set(web_context.keys.worker("w"), json.dumps(status))
    web_context.redis.zadd(web_context.keys.workers, {"w": 1})
    page = client.get("/").get_data(as_text=True)
    assert "https://t.me/warm_bot" in page
    assert "&lt;Warm &amp; Co&gt;" in page
    assert "<Warm" not in page


def may_try(client: FlaskClient, host: str, address: str = "127.0.0.1", headers: dict[str, str] | None = None) -> bool:
    """Returns True if this browser may use the lookup; checks that page and route agree."""
    environ = {"REMOTE_ADDR": address, "HTTP_HOST": host}
    page = client.get("/", headers=headers, environ_overrides=environ)
    answer = client.post("/try", json={"id": 42}, headers=headers, environ_overrides=environ)
    assert (answer.status_code, NAMES[0] in page.data) in ((200, True), (403, False))
    return answer.status_code == 200


def test_a_browser_on_this_machine_may_use_the_lookup(client: FlaskClient) -> None:
    hosts = ["localhost", "localhost:8000", "127.0.0.1", "127.0.0.1:8000", "127.1.2.3:80", "[::1]", "[::1]:8000"]
    ways = [(host, address) for host in hosts for address in ["127.0.0.1", "127.9.9.9", "::1"]]
    assert [way for way in ways if not may_try(client, *way)] == []


def test_a_foreign_host_name_is_refused(client: FlaskClient) -> None:
    hosts = [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil-localhost",
        "127.0.0.1@evil.example",
        "[::1]evil.example",
        "[::1].evil.example:80",
        "[::ffff:10.0.0.1]",
        "[2001:db8::1]:8000",
        "192.168.1.5:8000",
        "10.0.0.1",
        "0.0.0.0:8000",
        "127.0.0.999999",
        "",
    ]
    assert [host for host in hosts if may_try(client, host)] == []


@pytest.mark.parametrize(
    "address", ["192.168.1.5", "10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1", "127.0.0.1.evil", "", "unix:"]
)
def test_another_machine_is_refused(client: FlaskClient, address: str) -> None:
    assert not may_try(client, "localhost:8000", address)


def test_a_request_through_a_proxy_or_tunnel_is_refused(client: FlaskClient) -> None:
    ways = [(name, value) for name in PROXIES for value in ["127.0.0.1", "1.2.3.4", ""]]
    assert [way for way in ways if may_try(client, "localhost:8000", headers=dict([way]))] == []


def test_a_foreign_page_cannot_use_the_lookup(client: FlaskClient) -> None:
    foreign = {"Origin": "https://evil.example"}
    simple = client.post("/try", data='{"id": 42}', content_type="text/plain", headers=foreign)
    preflight = client.options("/try", headers={**foreign, "Access-Control-Request-Method": "POST"})
    assert simple.status_code == 415
    assert not any(name.startswith("Access-Control-Allow") for name, _ in (*simple.headers, *preflight.headers))


def test_a_lookup_returns_the_status_and_enqueues_a_missing_picture(app: Flask, client: FlaskClient) -> None:
    user_id = new_id()
    answer: Any = client.post("/try", json={"id": user_id})
    assert (answer.status_code, answer.json["id"], answer.json["status"]) == (200, user_id, "warming")
    assert queued(app) == [Subject.of_person(user_id)]


@pytest.mark.parametrize("body", [{}, {"id": "42"}, {"id": 2**52}, {"id": 1.5}, {"id": 42, "more": 1}, []])
def test_a_malformed_id_in_a_lookup_is_422(client: FlaskClient, body: Any) -> None:
    assert client.post("/try", json=body).status_code == 422


def test_the_page_works_without_redis(tmp_path: Path, telegram: object, make_app: MakeApp) -> None:
    with private_redis(tmp_path) as (url, server):
        client = make_app(redis_url=url).test_client()
        server.kill()
        wait_until(lambda: server.poll() is not None)
        assert client.get("/").status_code == 200
