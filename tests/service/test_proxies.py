"""The shipped nginx and Caddy configurations: the real proxies in front of the real service."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest
import requests

from faketelegram import FakeTelegram
from tests.conftest import SIGNING_KEY, wait_until
from tests.support.proxies import Pipe, caddy, nginx
from tests.support.running import Service
from web.urls import sign

CHROMIUM = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
FIREFOX = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
OLD_FIREFOX = "image/avif,image/webp,*/*;q=0.8"
ODD = "image/*,image/webp;q=0"
_ids = count(400_000)


@pytest.fixture(scope="module")
def pipe(service: Service) -> Pipe:
    return Pipe(service.url)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nginx")


@pytest.fixture(scope="module")
def cached(folder: Path, pipe: Pipe) -> Iterator[str]:
    """nginx; its URL."""
    with nginx(folder, pipe.url) as url:
        yield url


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, service: Service) -> Iterator[str]:
    """Caddy; its URL."""
    with caddy(tmp_path_factory.mktemp("caddy"), service.url) as url:
        yield url


@pytest.fixture(params=["cached", "plain"])
def proxy(request: pytest.FixtureRequest) -> str:
    """Either."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def fake(service: Service) -> FakeTelegram:
    assert service.telegram
    service.telegram.reset()
    return service.telegram


def add_photo(fake: FakeTelegram) -> str:
    """The path of a new person's picture, which nobody has asked for."""
    user_id = next(_ids)
    fake.world.add_user(user_id, "Ann")
    file_id = fake.world.file_id(user_id)
    return f"/api/photos/file/{file_id}?size=160&sig={sign(SIGNING_KEY, f'file:{file_id}')}"


def get(url: str, accept: str = "*/*", **headers: str) -> requests.Response:
    return requests.get(url, headers={"Accept": accept, **headers}, timeout=10)


def test_a_hundred_clients_of_a_cold_picture_are_one_request_upstream(
    cached: str, pipe: Pipe, fake: FakeTelegram
) -> None:
    path = add_photo(fake)
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(get, [cached + path] * 100))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert pipe.sent.count(path.encode()) == 1


def test_a_hit_is_the_proxys_and_keeps_what_matters(cached: str, pipe: Pipe, fake: FakeTelegram) -> None:
    url = cached + (path := add_photo(fake))
    first, second = get(url), get(url)
    assert [answer.headers["X-Cache-Status"] for answer in (first, second)] == ["MISS", "HIT"]
    assert pipe.sent.count(path.encode()) == 1
    kept = (
        "ETag",
        "Cache-Control",
        "Vary",
        "Content-Security-Policy",
        "X-Content-Type-Options",
        "Content-Type",
        "Access-Control-Allow-Origin",
        "Cross-Origin-Resource-Policy",
        "Cache-Status",
    )
    assert {name: second.headers[name] for name in kept} == {name: first.headers[name] for name in kept}
    assert get(url, **{"If-None-Match": second.headers["ETag"]}).status_code == 304


def test_formats_are_never_mixed_up(cached: str, service: Service, fake: FakeTelegram) -> None:
    path = add_photo(fake)
    accepts = [CHROMIUM, "image/jpeg", FIREFOX, OLD_FIREFOX, ODD, "*/*", "image/jpeg;q=0.5,image/webp;q=0.4", "image/*"]
    for accept in accepts * 2:
        expected = requests.get(service.url + path, headers={"Accept": accept}, timeout=10)
        got = get(cached + path, accept)
        assert got.headers["Content-Type"] == expected.headers["Content-Type"], accept
        assert got.content == expected.content


def test_browsers_of_one_taste_share_a_copy(cached: str, fake: FakeTelegram) -> None:
    url = cached + add_photo(fake)
    found = [get(url, accept).headers["X-Cache-Status"] for accept in (FIREFOX, OLD_FIREFOX, CHROMIUM, "image/*")]
    assert found == ["MISS", "HIT", "MISS", "HIT"]


def test_a_picture_that_is_not_ready_is_asked_for_again(cached: str, fake: FakeTelegram) -> None:
    url = cached + add_photo(fake)
    fake.fail("getFile", "late", seconds=2.6)
    refused = get(url)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert get(url).status_code == 200


def test_no_photo_is_kept_for_its_minute_alone(cached: str, fake: FakeTelegram) -> None:
    user_id = next(_ids)
    fake.world.add_user(user_id, "Bob", picture=None)
    url = f"{cached}/api/photos/user/{user_id}?size=160&sig={sign(SIGNING_KEY, f'user:{user_id}')}"
    answers = [get(url), get(url)]
    assert [(answer.status_code, answer.headers["X-Cache-Status"]) for answer in answers] == [
        (404, "MISS"),
        (404, "HIT"),
    ]
    assert "max-age=60" in answers[1].headers["Cache-Control"]


def test_a_refusal_is_never_kept(cached: str) -> None:
    url = f"{cached}/api/photos/user/1?size=160&sig=wrong"
    assert [(answer.status_code, answer.headers["X-Cache-Status"]) for answer in (get(url), get(url))] == [
        (403, "MISS")
    ] * 2


def test_removed_copies_are_asked_for_again(cached: str, folder: Path, fake: FakeTelegram) -> None:
    url = cached + (path := add_photo(fake))
    get(url)
    subject = path.partition("?")[0]
    purge = f"grep -rlaZ 'KEY: {subject}?' '{folder}/cache' | xargs -0r rm"
    subprocess.run(["sh", "-c", purge], check=True)
    assert get(url).headers["X-Cache-Status"] == "MISS"


def test_connections_to_the_service_are_kept(cached: str, pipe: Pipe) -> None:
    before = pipe.connections
    assert {get(f"{cached}/healthz").status_code for _ in range(20)} == {200}
    assert pipe.connections - before <= 2  # one a process of nginx


def test_kept_pictures_are_served_while_the_service_is_away(
    tmp_path: Path, service: Service, fake: FakeTelegram
) -> None:
    way = Pipe(service.url)
    with nginx(tmp_path, way.url) as url:
        path = add_photo(fake)
        shown = get(url + path).content
        way.shut()
        assert get(url + path).content == shown
        assert get(f"{url}/healthz").status_code == 502


class ShortLived(BaseHTTPRequestHandler):
    """Answers everything with a picture that is good for a second."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Cache-Control", "public, max-age=1")
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"picture")

    def log_message(self, *_: object) -> None:
        """Silent."""


def test_old_copies_are_served_while_the_service_is_away(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), ShortLived) as stub:
        threading.Thread(target=stub.serve_forever, daemon=True).start()
        way = Pipe(f"http://127.0.0.1:{stub.server_port}")
        with nginx(tmp_path, way.url) as url:
            photo = f"{url}/api/photos/file/AgAC?size=160"
            assert get(photo).headers["X-Cache-Status"] == "MISS"
            way.shut()
            wait_until(lambda: get(photo).headers["X-Cache-Status"] == "STALE")
            assert get(photo).content == b"picture"
        stub.shutdown()


PRIVATE = ["/metrics", "/ops", "/ops.json", "/readyz", "//metrics", "/%6Detrics", "/x/../readyz"]


@pytest.mark.parametrize("path", PRIVATE)
def test_what_is_for_the_operator_is_not_public(proxy: str, path: str, service: Service) -> None:
    session = requests.Session()
    request = requests.Request("GET", proxy, headers=service.as_server).prepare()
    request.url = proxy + path  # as it is, not normalised
    assert session.send(request, timeout=10).status_code == 404


def test_the_api_works_through_it(proxy: str, service: Service) -> None:
    answer = requests.put(f"{proxy}/api/partner/77", json={"name": "Ann"}, headers=service.as_server, timeout=10)
    assert answer.status_code in (200, 201)
    assert requests.delete(f"{proxy}/api/partner/77", headers=service.as_server, timeout=10).status_code == 204


def test_a_large_head_and_a_large_body_are_refused(proxy: str, service: Service) -> None:
    assert get(f"{proxy}/healthz", **{"X-Large": "x" * 40_000}).status_code in (400, 431)
    with suppress(requests.ConnectionError):  # refused before it was sent: the connection ends, and so may the answer
        headers = {**service.as_server, "Content-Type": "application/json"}
        large = requests.post(f"{proxy}/api/photos/warm", data=b"x" * 70_000, headers=headers, timeout=10)
        assert large.status_code in (413, 502)  # 502: Caddy, when the service refuses or the limit cuts it off


def test_the_request_id_goes_through(cached: str, pipe: Pipe) -> None:
    assert (
        get(f"{cached}/healthz", **{"X-Request-ID": "an-id-of-a-client"}).headers["X-Request-ID"] == "an-id-of-a-client"
    )
    assert b"X-Request-ID: an-id-of-a-client" in pipe.sent
    own = get(f"{cached}/healthz", **{"X-Request-ID": "{not plain}"}).headers["X-Request-ID"]
    assert f"X-Request-ID: {own}".encode() in pipe.sent
