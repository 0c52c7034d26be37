"""The app as a whole: its routes, its start, and CORS."""

from __future__ import annotations

import subprocess
import sys

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import create_environ, run_wsgi_app

from tests.conftest import API_KEY
from tests.support.running import ROOT
from tests.support.web_parts import MakeApp
from web import create_app
from web.photos.request import PREFIXES

OURS, THEIRS = "https://app.example", "https://evil.example"
ALLOWED = "Access-Control-Allow-Origin"
ROUTES = {
    ("GET", "/"),
    ("POST", "/try"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/ops"),
    ("GET", "/ops.json"),
    ("GET", "/docs/<name>.md"),
    ("GET", "/openapi.json"),
    ("GET", "/static/<path:filename>"),
    ("GET", "/api/partner/recent"),
    ("POST", "/api/partner/me"),
    ("GET", "/api/partner/me"),
    ("DELETE", "/api/partner/me"),
    ("PUT", "/api/partner/<partner:name>"),
    ("GET", "/api/partner/<partner:name>"),
    ("DELETE", "/api/partner/<partner:name>"),
    ("POST", "/api/photos/warm"),
    ("POST", "/api/photos/resolve"),
    ("POST", "/api/photos/refresh"),
}
IN_FRONT = {"/api/photos/file/", "/api/photos/user/"}


def test_the_routes_are_those_of_the_contract(make_app: MakeApp) -> None:
    rules = make_app().url_map.iter_rules()
    assert {(method, rule.rule) for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}} == ROUTES
    assert set(PREFIXES) == IN_FRONT


def test_importing_the_web_tier_loads_no_pillow_no_telegram_client_and_no_tasks() -> None:
    code = "import sys, web; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "web.photos.app" in loaded
    assert not {"PIL", "requests", "warmer.telegram.client", "warmer.images.render", "warmer.worker.tasks"} & loaded


def test_creating_an_app_opens_no_connection_so_gunicorn_can_fork(make_app: MakeApp) -> None:
    nowhere = "redis://127.0.0.1:1"
    app = make_app(redis_url=nowhere, celery_broker_url=nowhere)
    assert app.test_client().get("/healthz").status_code == 200


def test_a_wrong_setting_stops_the_start_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("URL_SIGNING_KEYS", "too-short")
    with pytest.raises(SystemExit, match="URL_SIGNING_KEYS") as stopped:
        create_app()
    assert "too-short" not in str(stopped.value)


@pytest.mark.parametrize("path", ["/api/partner/recent", "/api/partner/me", "/metrics", "/healthz", "/", "/try"])
def test_by_default_other_origins_get_no_cors_headers(client: FlaskClient, path: str) -> None:
    for method in ("GET", "OPTIONS", "POST"):
        headers = {"Origin": THEIRS, "Access-Control-Request-Method": "GET"}
        answer = client.open(path, method=method, headers=headers)
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


@pytest.fixture
def open_client(redis: object, telegram: object, make_app: MakeApp) -> FlaskClient:
    return make_app(cors_origins=f"{OURS},https://b.example,http://[::1]:3000").test_client()


def test_configured_origins_may_use_the_api(open_client: FlaskClient) -> None:
    origins = [OURS, "https://b.example", "http://[::1]:3000"]
    answers = [open_client.get("/api/partner/recent", headers={"Origin": one}) for one in origins]
    assert [answer.headers.getlist(ALLOWED) for answer in answers] == [[one] for one in origins]
    assert all("Origin" in answer.headers["Vary"] for answer in answers)
    assert "Access-Control-Allow-Credentials" not in answers[0].headers


@pytest.mark.parametrize(
    "origin",
    [
        THEIRS, "null", f"{OURS}.evil", f"{OURS}:8443", "http://app.example", "", None,
        "http://1:3000", "https://appxexample",
    ],
)  # fmt: skip
def test_other_origins_may_not_use_the_api(open_client: FlaskClient, origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin}
    assert ALLOWED not in open_client.get("/api/partner/recent", headers=headers).headers


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/try"])
def test_configured_origins_get_cors_headers_only_for_the_api(open_client: FlaskClient, path: str) -> None:
    assert ALLOWED not in open_client.get(path, headers={"Origin": OURS}).headers


def test_a_page_of_a_configured_origin_reads_when_to_try_again(open_client: FlaskClient) -> None:
    answer = open_client.get("/api/partner/recent", headers={"Origin": OURS})
    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert sorted(exposed) == ["Retry-After", "X-Request-ID", "X-Response-Time"]


def test_a_preflight_allows_a_mini_app_to_send_its_credential(open_client: FlaskClient) -> None:
    asking = {
        "Origin": OURS,
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    answer = open_client.options("/api/partner/me", headers=asking)
    assert (answer.status_code, answer.headers[ALLOWED]) == (200, OURS)
    assert "authorization" in answer.headers["Access-Control-Allow-Headers"].lower()
    assert "DELETE" in answer.headers["Access-Control-Allow-Methods"]


def test_two_apps_in_one_process_keep_their_own_settings(redis: object, telegram: object, make_app: MakeApp) -> None:
    one, other = make_app(), make_app(api_keys="another-api-key-")
    headers = {"Authorization": f"Bearer {API_KEY}"}
    answers = [app.test_client().get("/api/partner/recent", headers=headers).status_code for app in (one, other)]
    assert answers == [200, 401]


@pytest.mark.parametrize("path", ["//ops", "//healthz", "///metrics", "//static/page.css"])
def test_a_path_with_more_slashes_in_front_is_another_path(app: Flask, path: str) -> None:
    environ = {**create_environ("/"), "PATH_INFO": path}
    _, status, _ = run_wsgi_app(app, environ, buffered=True)
    assert status == "404 NOT FOUND"


@pytest.mark.parametrize(
    "path", ["/healthz", "/static/page.css", "/nowhere", *(f"{path}x" for path in sorted(PREFIXES))]
)
def test_http_1_1_without_a_host_is_400_on_every_route(app: Flask, path: str) -> None:
    for protocol, is_refused in (("HTTP/1.1", True), ("HTTP/1.0", False)):
        environ = create_environ(path) | {"SERVER_PROTOCOL": protocol}
        del environ["HTTP_HOST"]
        _, status, headers = run_wsgi_app(app, environ)
        assert (status == "400 BAD REQUEST") == is_refused
        assert headers["Content-Type"] == "application/problem+json" or not is_refused
