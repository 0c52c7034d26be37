"""What stands in front of the service opens nothing: proxies and forwarders on its own machine, and odd requests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.proxies import bare_nginx, caddy, nginx
from tests.support.raw_http import RawAnswer, connect, head, read_answer
from tests.support.running import Service
from tests.support.servers import Relay
from tests.support.waiting import wait_until

DOORS = ["bare nginx", "shipped nginx", "shipped Caddy", "HTTP/1.0", "TCP forwarder"]
HIDING = ("shipped nginx", "shipped Caddy")  # they answer 404 for the pages that only monitoring needs
ROUTES = ["GET /ops", "HEAD /ops", "GET /ops.json", "GET /metrics", "POST /try"]
SPELLINGS = ["{}/", "/{}", "/.{}", "{};x", "{}%00", "{}%2f", "{}?key=", "http://127.0.0.1{}", "/static/..{}"]
WRONG_KEY = "Authorization: Bearer no-key-of-this-service"
FORGED = [
    "X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1;host=127.0.0.1",
    "X-Forwarded-Host: 127.0.0.1", "X-HTTP-Method-Override: GET", "X-Original-URL: /healthz", "Authorization: Bearer",
    "Authorization: Basic Og==", "Referer: http://127.0.0.1/?key=", "Cookie: avatar_warmer_{port}=",
    "Cookie: avatar_warmer_{port}=None",
]  # fmt: skip
TOLD = (b"hit_rate", b"avatar_workers", b"photo_status", b"<svg class", b"data-init-data")


@dataclass(frozen=True)
class Door:
    """A way to a service for somebody who is not on its machine, as far as the way can tell."""

    name: str
    url: str
    port: int  # of the service

    def ask(self, line: str, *fields: str, body: bytes = b"") -> RawAnswer:
        """Send one request, as a client who claims to be on the machine."""
        version, host = ("1.0", "") if self.name == "HTTP/1.0" else ("1.1", "127.0.0.1")
        fields = (*fields, f"Content-Length: {len(body)}", "Content-Type: application/json", "Connection: close")

        def send() -> RawAnswer:
            with connect(self.url) as sock, sock.makefile("rb") as stream:
                sock.sendall(head(f"{line} HTTP/{version}", *fields, host=host) + body)
                answer = read_answer(stream, line.partition(" ")[0])
            assert answer
            return answer

        # The service of a busy machine may answer 503 at any time, and a proxy 502 or 504 in its place.
        answer: RawAnswer = wait_until(lambda: (got := send()).status not in (502, 503, 504) and got)
        return answer


@pytest.fixture(scope="module")
def doors(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Opens a door to a service, once."""
    with ExitStack() as opened:
        made: dict[tuple[str, str], Door] = {}

        def make(name: str, to: str) -> str:
            folder = tmp_path_factory.mktemp("door")
            if name == "TCP forwarder":
                return opened.enter_context(Relay(to)).url
            kinds = {"bare nginx": bare_nginx, "shipped nginx": nginx, "shipped Caddy": caddy}
            return opened.enter_context(kinds[name](folder, to)) if name in kinds else to

        def open_one(name: str, to: Service) -> Door:
            if (name, to.url) not in made:
                made[name, to.url] = Door(name, make(name, to.url), urlsplit(to.url).port or 0)
            return made[name, to.url]

        yield open_one


def try_route(door: Door, route: str, *fields: str) -> RawAnswer:
    return door.ask(route, *fields, body=b'{"id": 42}' if route.startswith("POST") else b"")


@pytest.mark.parametrize("name", DOORS)
def test_no_operators_route_opens_without_a_key(doors: Any, service: Service, name: str) -> None:
    door = doors(name, service)
    wrong = []
    for route in ROUTES:
        for field in ("", *FORGED, *[WRONG_KEY] * (route == "GET /ops.json")):  # wrong keys are limited: only a few
            answer = try_route(door, route, *[field.format(port=door.port)] * bool(field))
            is_hidden = name in HIDING and "/try" not in route
            if answer.status not in ((404,) if is_hidden else (401, 429)) or any(word in answer.body for word in TOLD):
                wrong.append((route, field, answer))
    assert wrong == []


@pytest.mark.parametrize("name", DOORS)
def test_no_other_spelling_of_a_route_opens_it(doors: Any, service: Service, name: str) -> None:
    door = doors(name, service)
    answers = {}
    for route in ROUTES:
        method, path = route.split()
        for spelled in (*(form.format(path) for form in SPELLINGS), f"/%{ord(path[1]):x}{path[2:]}", path.upper()):
            answers[f"{method} {spelled}"] = try_route(door, f"{method} {spelled}")
    assert {line: answer for line, answer in answers.items() if answer.status not in (400, 401, 404, 405)} == {}


@pytest.mark.parametrize("name", HIDING)
def test_a_shipped_proxy_hides_the_pages_for_monitoring_in_every_spelling(
    doors: Any, service: Service, name: str
) -> None:
    door, key = doors(name, service), f"Authorization: Bearer {service.api_key}"
    paths = ["/ops", "//ops", "/%6fps", "/ops/", "/ops.json", "/ops%2ejson", "/./ops.json", "/x/../metrics", "/readyz"]
    paths += ["/metrics", "//metrics", "/%6Detrics", "/x/../readyz"]
    shown = [path for path in paths if door.ask(f"GET {path}", key).status not in (400, 404)]
    assert shown == []


@pytest.mark.parametrize("name", DOORS)
def test_an_api_key_and_the_page_key_open_every_operators_route(doors: Any, service: Service, name: str) -> None:
    door = doors(name, service)
    by_api_key, cookie = f"Authorization: Bearer {service.api_key}", sign_in(door, service)
    hidden = dict.fromkeys(ROUTES, 404) | {"POST /try": 200}
    opened = hidden if name in HIDING else dict.fromkeys(ROUTES, 200)
    assert {route: try_route(door, route, by_api_key).status for route in ROUTES} == opened
    for_servers_alone = {} if name in HIDING else {"GET /metrics": 401}
    assert {route: try_route(door, route, cookie).status for route in ROUTES} == opened | for_servers_alone


@pytest.mark.parametrize("name", DOORS)
def test_a_demo_gives_its_init_data_to_the_holder_of_the_page_key_alone(doors: Any, demo: Service, name: str) -> None:
    door = doors(name, demo)
    strangers = [door.ask("GET /", *fields) for fields in ((), *((field.format(port=door.port),) for field in FORGED))]
    assert [answer for answer in strangers if b"data-init-data" in answer.body] == []
    if name != "HTTP/1.0":  # without Host a demo answers nothing at all
        assert b"data-init-data" in door.ask("GET /", sign_in(door, demo)).body
    assert {try_route(door, route).status for route in ROUTES} <= {401, 403, 404}


def sign_in(door: Door, service: Service) -> str:
    """Open the URL that `scripts/run` has printed. Returns the cookie of this start as a header field."""
    answer = door.ask(f"GET /?{urlsplit(service.page).query}")
    assert answer.status == 303
    assert answer.headers["set-cookie"].endswith("; HttpOnly; SameSite=Strict")
    return f"Cookie: {answer.headers['set-cookie'].partition(';')[0]}"


def test_the_page_key_is_in_no_log(doors: Any, service: Service, demo: Service) -> None:
    for one in (service, demo):
        sign_in(doors("TCP forwarder", one), one)
        key = urlsplit(one.page).query.partition("=")[2].encode()
        logs = list((one.data_dir / "logs").iterdir())
        assert logs
        assert [path.name for path in logs if key in path.read_bytes()] == []
