"""The shipped nginx and Caddy configurations: real proxies in front of the real service."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests

from faketelegram import FakeTelegram
from tests.conftest import SIGNING_KEY, wait_until
from tests.support.proxies import caddy, nginx
from tests.support.running import REQUEST_SECONDS, ROOT, Service, await_picture
from tests.support.servers import HttpStub, Pieces, Relay, reply
from warmer.photo_urls import sign

CHROMIUM = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
FIREFOX = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
OLD_FIREFOX = "image/avif,image/webp,*/*;q=0.8"
BROWSERS, PLAIN = (FIREFOX, OLD_FIREFOX, CHROMIUM), ("image/*", "*/*", "image/jpeg")
ODD = ("image/*,image/webp;q=0", "image/jpeg;q=0.5,image/webp;q=0.4", "image/jpeg;q=0.4, IMAGE/WEBP;q=0.5")
_ids = count(400_000)


@pytest.fixture(scope="module")
def pipe(service: Service) -> Iterator[Relay]:
    with Relay(service.url) as pipe:
        yield pipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nginx")


@pytest.fixture(scope="module")
def cached(folder: Path, pipe: Relay) -> Iterator[str]:
    """The URL of nginx."""
    with nginx(folder, pipe.url) as url:
        yield url


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, service: Service) -> Iterator[str]:
    """The URL of Caddy."""
    with caddy(tmp_path_factory.mktemp("caddy"), service.url) as url:
        yield url


@pytest.fixture(params=["cached", "plain"])
def proxy(request: pytest.FixtureRequest) -> str:
    """The URL of each proxy."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def fake(service: Service) -> FakeTelegram:
    assert service.telegram
    service.telegram.reset()
    return service.telegram


def add_cold_photo(fake: FakeTelegram) -> str:
    """Returns the URL path of a new person's picture that no client has requested."""
    user_id = next(_ids)
    fake.world.add_user(user_id, "Ann")
    file_id = fake.world.file_id(user_id)
    return f"/api/photos/file/{file_id}?size=160&sig={sign(SIGNING_KEY, f'file:{file_id}')}"


@pytest.fixture
def photo(service: Service, fake: FakeTelegram) -> str:
    """The path of a picture that the service has stored and no proxy has cached."""
    path = add_cold_photo(fake)
    assert await_picture(lambda: service.get(path)).status_code == 200
    return path


def get(url: str, accept: str = CHROMIUM, **headers: str) -> requests.Response:
    return await_picture(lambda: get_once(url, accept, **headers))


def get_once(url: str, accept: str = CHROMIUM, **headers: str) -> requests.Response:
    return requests.get(url, headers={"Accept": accept, **headers}, timeout=REQUEST_SECONDS)


def test_100_concurrent_clients_of_a_picture_cause_one_upstream_request(cached: str, pipe: Relay, photo: str) -> None:
    started: list[int] = []

    def ask(number: int) -> requests.Response:
        started.append(number)
        return get_once(cached + photo)

    pipe.answers.clear()
    with ThreadPoolExecutor(100) as pool:
        answers = pool.map(ask, range(100))
        try:
            wait_until(lambda: len(started) == 100 and photo.encode() in pipe.sent)
        finally:
            pipe.answers.set()
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, get(cached + photo).content)}
    assert pipe.sent.count(photo.encode()) == 1


def test_a_proxy_hit_keeps_the_headers_of_the_service(cached: str, pipe: Relay, photo: str) -> None:
    url = cached + photo
    first, passed = get(url), pipe.sent.count(photo.encode())
    second = get(url)
    assert [answer.headers["X-Cache-Status"] for answer in (first, second)] == ["MISS", "HIT"]
    assert pipe.sent.count(photo.encode()) == passed
    kept = (
        "ETag", "Cache-Control", "Cache-Tag", "Vary", "Content-Security-Policy", "X-Content-Type-Options",
        "Content-Type", "Access-Control-Allow-Origin", "Cross-Origin-Resource-Policy", "Cache-Status",
    )  # fmt: skip
    assert {name: second.headers[name] for name in kept} == {name: first.headers[name] for name in kept}
    assert get(url, **{"If-None-Match": second.headers["ETag"]}).status_code == 304


def test_the_proxy_never_mixes_up_formats(cached: str, service: Service, photo: str) -> None:
    accepts = [
        CHROMIUM, "image/jpeg", FIREFOX, OLD_FIREFOX, *ODD, "*/*", "image/*", "image/webp", "image/avif, image/*",
    ]  # fmt: skip
    for accept in accepts * 2:
        expected = service.get(photo, Accept=accept)
        got = get(cached + photo, accept)
        assert got.headers["Content-Type"] == expected.headers["Content-Type"], accept
        assert got.content == expected.content


def test_browsers_with_the_same_format_preference_share_a_cached_copy(cached: str, photo: str) -> None:
    url = cached + photo
    found = [get(url, accept).headers["X-Cache-Status"] for accept in BROWSERS + PLAIN]
    assert found == ["MISS", "HIT", "HIT", "MISS", "HIT", "HIT"]


def test_the_proxy_does_not_cache_a_503(cached: str, fake: FakeTelegram) -> None:
    url = cached + add_cold_photo(fake)
    fake.fail("getFile", "late", seconds=6)  # much longer than a request waits
    refused = get_once(url)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert get(url).status_code == 200


def test_the_proxy_caches_a_404_for_one_minute(cached: str, service: Service, fake: FakeTelegram) -> None:
    user_id = next(_ids)
    fake.world.add_user(user_id, "Bob", picture=None)
    path = f"/api/photos/user/{user_id}?size=160&sig={sign(SIGNING_KEY, f'user:{user_id}')}"
    assert service.get(path).status_code == 404
    answers = [get(cached + path), get(cached + path)]
    said = [(answer.status_code, answer.headers["X-Cache-Status"]) for answer in answers]
    assert said == [(404, "MISS"), (404, "HIT")]
    assert "max-age=60" in answers[1].headers["Cache-Control"]


def test_the_proxy_never_caches_a_403(cached: str) -> None:
    answers = [get(f"{cached}/api/photos/user/1?size=160&sig=wrong") for _ in range(2)]
    assert {(answer.status_code, answer.headers["X-Cache-Status"]) for answer in answers} == {(403, "MISS")}


def purge(folder: Path, tag: str) -> None:
    """Run the command of the documentation for this tag."""
    (command,) = re.findall(r"`(grep [^`]+)`", (ROOT / "docs" / "deployment.md").read_text("utf-8"))
    command = command.replace("\\|", "|").replace("/var/cache/nginx/avatar-warmer", f"'{folder}/cache'")
    subprocess.run(["sh", "-c", command.replace("TAG", tag)], check=True)


def test_after_a_purge_by_its_tags_the_proxy_holds_nothing_of_a_forgotten_person(
    cached: str, folder: Path, service: Service, fake: FakeTelegram, photo: str
) -> None:
    user_id = next(_ids)
    fake.world.add_user(user_id, "Ann")
    names = {"user": user_id, "file": fake.world.file_id(user_id)}
    signed = [f"{kind}/{name}?sig={sign(SIGNING_KEY, f'{kind}:{name}')}" for kind, name in names.items()]
    urls = [f"{cached}/api/photos/{path}&size={size}" for path in signed for size in (80, 160)]
    copies = [(url, accept) for url in urls for accept in (CHROMIUM, "image/jpeg")]
    assert {get(*copy).status_code for copy in [*copies, (cached + photo, CHROMIUM)]} == {200}
    tags = get(urls[0]).headers["Cache-Tag"].split(",")
    wait_until(lambda: service.ask("DELETE", f"/api/partner/{user_id}").status_code == 204)
    assert {get(*copy).headers["X-Cache-Status"] for copy in copies} == {"HIT"}
    for tag in tags:
        purge(folder, tag)
    answers = [get(*copy) for copy in copies]
    assert {(answer.status_code, answer.headers["X-Cache-Status"]) for answer in answers} == {(404, "MISS")}
    assert get(cached + photo).headers["X-Cache-Status"] == "HIT"  # another person's


def test_after_a_purge_of_its_id_a_changed_picture_is_served(
    cached: str, folder: Path, service: Service, fake: FakeTelegram
) -> None:
    group = -next(_ids)
    fake.world.add_chat(group, "Us")
    url = f"{cached}/api/photos/user/{group}?size=160&sig={sign(SIGNING_KEY, f'user:{group}')}"
    old = get(url)
    fake.world.change_photo(group)
    service.ask("POST", "/api/photos/refresh", json={"ids": [group]})
    direct = url.removeprefix(cached)
    wait_until(lambda: service.get(direct, Accept=CHROMIUM).headers["ETag"] != old.headers["ETag"])
    assert get(url).headers["ETag"] == old.headers["ETag"]
    purge(folder, old.headers["Cache-Tag"].split(",")[0])
    assert get(url).headers["ETag"] == service.get(direct, Accept=CHROMIUM).headers["ETag"]


def test_the_proxy_reuses_its_connections_to_the_service(cached: str, pipe: Relay) -> None:
    before = pipe.connections
    assert {get(f"{cached}/healthz").status_code for _ in range(20)} == {200}
    assert pipe.connections - before <= 2  # one per nginx process


def test_the_documented_limit_refuses_a_flood_of_one_address(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "deployment.md").read_text("utf-8").partition("\n### Many requests from one address\n")[2]
    outside, inside = re.findall(r"```nginx\n(.*?)```", page.partition("\n#")[0], re.DOTALL)
    assert inside.count("burst=2000") == 1
    inside = inside.replace("burst=2000", "burst=20")  # a test sends no thousands
    outside = outside.replace("rate=1000r/s", "rate=1r/m")
    with ShortLived() as stub, nginx(tmp_path, stub.url, outside, inside) as url:
        photo = f"{url}/api/photos/file/AgAC?size=160"
        answers = [get(photo).status_code for _ in range(40)]
        assert (answers[0], answers[-1]) == (200, 429)


class ShortLived(HttpStub):
    """Answers every request with a picture that is fresh for one second."""

    def respond(self, _line: str, _body: bytes) -> Pieces:
        return reply(b"picture", "Cache-Control: public, max-age=1")


def test_stale_copies_are_served_while_the_service_is_away(tmp_path: Path) -> None:
    with ShortLived() as stub, Relay(stub.url) as way, nginx(tmp_path, way.url) as url:
        photo = f"{url}/api/photos/file/AgAC?size=160"
        assert get(photo).headers["X-Cache-Status"] == "MISS"
        way.cut()
        assert get(f"{url}/healthz").status_code == 502
        wait_until(lambda: get(photo).headers["X-Cache-Status"] == "STALE")
        assert get(photo).content == b"picture"


@pytest.mark.parametrize("path", ["/static/lazy-image.js", "/static/page.css", "/openapi.json"])
def test_the_proxy_passes_compressed_answers_on_as_they_are(proxy: str, service: Service, path: str) -> None:
    direct, packed, plain = (
        get(url + path, **{"Accept-Encoding": accepted})
        for url, accepted in ((service.url, "gzip"), (proxy, "gzip"), (proxy, "identity"))
    )
    kept = ("Content-Encoding", "Content-Length", "Vary", "ETag", "Cache-Control")
    assert {name: packed.headers.get(name) for name in kept} == {name: direct.headers.get(name) for name in kept}
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.content == plain.content  # as the client unpacks it


def test_a_list_is_compressed_through_the_proxy(proxy: str, service: Service) -> None:
    for number in range(3):  # more than a list that is too short to compress
        service.ask("PUT", f"/api/partner/{next(_ids)}", json={"name": f"Ann {number} " + "x" * 100})
    url = f"{proxy}/api/partner/recent?limit=3"
    packed, plain = (
        get(url, **{**service.as_server, "Accept-Encoding": accepted}) for accepted in ("gzip", "identity")
    )
    assert (packed.headers.get("Content-Encoding"), plain.headers.get("Content-Encoding")) == ("gzip", None)
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert packed.json() == plain.json()


def test_the_api_works_through_the_proxy(proxy: str, service: Service) -> None:
    def ask(method: str, **options: Any) -> int:
        url, headers = f"{proxy}/api/partner/77", service.as_server
        return requests.request(method, url, headers=headers, timeout=REQUEST_SECONDS, **options).status_code

    wait_until(lambda: ask("PUT", json={"name": "Ann"}) in (200, 201))
    wait_until(lambda: ask("DELETE") == 204)


def test_the_proxy_refuses_a_large_head_and_a_large_body(proxy: str, service: Service) -> None:
    assert get(f"{proxy}/healthz", **{"X-Large": "x" * 40_000}).status_code in (400, 431)
    with suppress(requests.ConnectionError):  # the answer to an early refusal may be lost
        headers = {**service.as_server, "Content-Type": "application/json"}
        large = requests.post(f"{proxy}/api/photos/warm", data=b"x" * 70_000, headers=headers, timeout=60)
        assert large.status_code in (413, 502)  # 502: from Caddy, when the service or the limit cuts the request off


def test_nginx_appends_the_address_of_the_client(cached: str, pipe: Relay) -> None:
    get(f"{cached}/healthz", **{"X-Forwarded-For": "1.1.1.1"})
    assert b"X-Forwarded-For: 1.1.1.1, 127.0.0.1\r\n" in pipe.sent


def test_the_proxy_passes_the_request_id_on(cached: str, pipe: Relay) -> None:
    assert get(f"{cached}/healthz", **{"X-Request-ID": "of-a-client"}).headers["X-Request-ID"] == "of-a-client"
    assert b"X-Request-ID: of-a-client" in pipe.sent
    own = get(f"{cached}/healthz", **{"X-Request-ID": "{not plain}"}).headers["X-Request-ID"]
    assert f"X-Request-ID: {own}".encode() in pipe.sent
