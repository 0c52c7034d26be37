"""Drives a running service through every code path, good and bad, while the wiretap records its output."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import requests
from celery import Celery
from redis import Redis

from faketelegram import FAULTS, FakeTelegram
from tests.conftest import make_picture, next_id, wait_until
from tests.support.web_parts import init_data
from tests.support.wiretap import Notebook
from warmer.photo_urls import sign

HALTING = ("unauthorized", "not-found", "too-many-requests")  # after these no worker calls Telegram for a while
SLOW = ("hang", "slow-headers", "slow-body")
OPTIONS: dict[str, dict[str, Any]] = {"slow-headers": {"interval": 0.5}}  # longer than the total deadline
UNDECODABLE = (b"", b"\x89PNG\r\n\x1a\n broken", make_picture()[:300], b"GIF89a\xff\xff\xff\xff", b"<svg/>")

FAILING_COMMANDS = [["diagnose"], ["warm", "--no-wait", "42"], ["refresh", "--no-wait", "42"], ["purge", "42"],
                    ["forget", "--yes", "42"]]  # fmt: skip


def list_commands(file_id: str) -> list[list[str]]:
    """Returns valid and invalid arguments of the command."""
    rightly = [["diagnose"], ["warm", file_id, "42"], ["warm", "--json", file_id], ["purge", file_id]]
    rightly += [["purge", "--all", "--yes"], ["warm", "--no-wait", "42"], ["refresh", "--no-wait", "42"]]
    rightly += [["forget", "--yes", "--json", "42"]]
    wrongly = [
        ["diagnose", "--wrong"],
        ["warm", "x,y"],
        ["purge", "x"],
        ["forget"],
        ["warm", "--from-file", "/dev/null/x"],
    ]
    return [*rightly, *([words[0], "--json", *words[1:]] for words in rightly if "--json" not in words), *wrongly, []]


def spoil_everything(fake: FakeTelegram, *, but: tuple[str, ...]) -> tuple[list[str], list[int]]:
    """Add a file for each fault of getFile and download, a user for each fault of the lookups, and broken pictures."""
    file_ids = [fake.world.add_file(data) for data in UNDECODABLE]
    user_ids = []
    for name in FAULTS:
        if name in but:
            continue
        options = {"redirect": {"location": f"{fake.url}/bot{fake.token}/getMe"}, **OPTIONS}.get(name, {})
        for method in ("getFile", "download"):
            if FAULTS[name].applies_to(method):
                file_ids.append(file_id := fake.world.add_file(make_picture()))
                fake.fail(method, name, file_id=file_id, **options)
        for method in ("getUserProfilePhotos", "getChat"):
            if FAULTS[name].applies_to(method):
                user_ids.append(user_id := next_id())
                fake.world.add_user(user_id, "Ann", public_only=method == "getChat")
                fake.fail(method, name, user_id=user_id, **options)
    return file_ids, user_ids


def ask_for_all(notes: Notebook, server: dict[str, str], file_ids: list[str], user_ids: list[int]) -> None:
    """Enqueue all of them."""
    notes.call("POST", "/api/photos/warm", headers=server, json={"photo_file_ids": file_ids})
    for route in ("resolve", "refresh"):
        notes.call("POST", f"/api/photos/{route}", headers=server, json={"ids": user_ids})


def wait_until_spoilt(fake: FakeTelegram) -> None:
    """Wait until every fault has met its call; after so many failures, one call is made every two seconds."""
    wait_until(lambda: not fake.faults.rules(), 600)


def sign_path(kind: str, name: object, key: str, size: object = 160) -> str:
    return f"/api/photos/{kind}/{name}?size={size}&sig={sign(key, f'{kind}:{name}')}"


def call_every_route(notes: Notebook, server: dict[str, str], user: dict[str, str], key: str, file_id: str) -> None:
    """Call every route successfully, as a server and as a user."""
    partner = {"name": "Ann", "photo_file_id": file_id}
    for path in ("/", "/healthz", "/readyz", "/static/lazy-image.js", "/nowhere"):
        notes.call("GET", path)
    for path in ("/metrics", "/ops", "/ops.json"):
        notes.call("GET", path, headers=server)
    wait_until(lambda: notes.call("PUT", "/api/partner/4242", headers=server, json=partner).ok)
    wait_until(lambda: notes.call("GET", sign_path("file", file_id, key)).status_code == 200, 120)
    etag = notes.call("GET", sign_path("user", 4242, key)).headers.get("ETag", "")
    notes.call("GET", sign_path("file", file_id, key), headers={"If-None-Match": etag})
    notes.call("GET", "/api/partner/4242", headers=server)
    notes.call("GET", "/api/partner/recent", headers=server)
    notes.call("GET", "/api/partner/recent?limit=3", headers=user)
    wait_until(lambda: notes.call("POST", "/api/partner/me", headers=user).ok)
    for method in ("POST", "GET", "DELETE", "GET"):
        notes.call(method, "/api/partner/me", headers=user)
    notes.call("POST", "/try", headers=server, json={"id": 4242})
    wait_until(lambda: notes.call("DELETE", "/api/partner/4242", headers=server).ok)
    notes.call("GET", sign_path("file", file_id, key))


def be_refused(notes: Notebook, server: dict[str, str], token: str, key: str) -> None:
    """Send every kind of refused request; some contain the token, which no answer may repeat."""
    user = {"id": 42, "first_name": "Ann"}
    forged = ("hash=0", init_data(user)[:-3] + "000", init_data(user, age=10**6, token=token), f"hash={token}", token)
    bad = [f"tma {data}" for data in (*forged, init_data(None, token=token), init_data("{", token=token))]
    bad += ["Bearer wrong", f"Bearer {token}", f"Basic {token}", f"tma query={token}&hash=x", "Bearer", "\xff"]
    for credential in bad:
        for path in ("/api/partner/recent", "/metrics"):
            notes.call("GET", path, headers={"Authorization": credential.encode("latin-1")})
    for path in (f"/{token}", f"/api/partner/{token}", f"/api/photos/file/{token}?sig=x", f"/?token={token}"):
        notes.call("GET", path, headers={**server, "X-Token": token, "Cookie": f"t={token}", "Accept": token})
    for path in (sign_path("file", "A" * 30, key, token), sign_path("user", 1, token), "/api/partner/recent?limit=0"):
        notes.call("GET", path, headers=server)
    for body in (b"{", b"[]", b'{"name": 7}', b'{"x": 1}', b"[" * 60_000, bytes(70_000)):
        for path in ("/api/photos/warm", "/api/photos/resolve", "/api/photos/refresh", "/api/partner/7"):
            method = "PUT" if path.endswith("7") else "POST"
            notes.call(method, path, headers={**server, "Content-Type": "application/json"}, data=body)
    notes.call("PUT", "/api/partner/7", headers={**server, "Content-Type": "text/plain"}, data=b"x")
    notes.call("PATCH", "/api/partner/7", headers=server)


def speak_no_http(notes: Notebook, api_key: str) -> None:
    """Send requests that gunicorn itself refuses and logs."""
    secret = b"Authorization: Bearer " + api_key.encode()
    lines = (b"GARBAGE", b"GET / HTTP/9.9", b"GET /\x00 HTTP/1.1", b"GET / HTTP/1.1\r\nA B: c", b"G\x7fT / HTTP/1.1")
    heads = [line + b"\r\n" + secret for line in lines]
    heads += [b"GET / HTTP/1.1\r\n" + secret + end for end in (b"\x00", b"\r\n " + api_key.encode(), b"\r\nX" * 200)]
    heads += [b"GET / HTTP/1.1\r\n" + secret + b"\r\nContent-Length: " + length for length in (b"-1", b"x")]
    for head in heads:
        notes.send_raw(head + b"\r\nConnection: close\r\n\r\n")


def spoil_the_queue(redis: Redis, socket: str, bot_id: str) -> None:
    """Put malformed messages into the queue."""
    prefix = f"v2:{bot_id}:queue:"
    with Celery(broker=f"redis+socket://{socket}", set_as_current=False) as producer:
        producer.conf.broker_transport_options = {"global_keyprefix": prefix, "priority_steps": [0]}
        for args in ([], ["A" * 30, "warm", "more"], [7, "warm"], ["user:x", "warm"], ["A" * 30, "no lane"], [None]):
            producer.send_task("warm", args=args, queue="warm")
        producer.send_task("no_such_task", args=["x"], queue="warm")
        producer.send_task("warm", args=[{1, 2}], queue="warm", serializer="pickle")
        producer.send_task("warm", args=["x", "warm"], queue="warm", headers={"eta": "no instant"})
    redis.lpush(f"{prefix}warm", '{"body": "", "headers": {}, "properties": {}}')


def disturb_redis(redis: Redis, notes: Notebook, server: dict[str, str], seconds: float = 1.5) -> None:
    """Cut every connection to Redis, then suspend Redis for a moment."""
    for client in redis.client_list():
        if client["name"] != "wiretap":
            redis.client_kill_filter(_id=client["id"], skipme=True)
    pid = redis.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for path in ("/api/partner/recent", "/readyz", "/metrics", "/", "/api/photos/user/42?sig=x"):
                notes.call("GET", path, headers=server)
    finally:
        os.kill(pid, signal.SIGCONT)


def await_flower(notes: Notebook, credentials: tuple[str, str]) -> None:
    """Wait until Flower knows the workers and so receives their events."""

    def knows_them() -> bool:
        try:
            return len(notes.call("GET", "/workers?json=1", auth=credentials).json()["data"]) > 1
        except requests.ConnectionError:
            return False

    wait_until(knows_them, 240)


def list_failed(notes: Notebook, credentials: tuple[str, str]) -> list[str]:
    """Returns the ids of failed tasks in Flower."""
    return list(notes.call("GET", "/api/tasks?limit=100000&state=FAILURE", auth=credentials).json())


def read_flower(notes: Notebook, credentials: tuple[str, str]) -> None:
    """Read Flower's pages and API with and without the password."""
    pages = ["/", "/workers", "/tasks", "/broker", "/metrics", "/healthcheck", "/api/workers?refresh=1"]
    pages += ["/api/queues/length", "/api/tasks?limit=1000", "/api/task/types", "/nowhere", "/tasks/datatable"]
    for page in pages:
        notes.call("GET", page)
        notes.call("GET", page, auth=credentials)
    notes.call("GET", "/", auth=("admin", "wrong"))
    tasks = wait_until(lambda: list_failed(notes, credentials))
    for task in tasks:
        notes.call("GET", f"/task/{task}", auth=credentials)
        notes.call("GET", f"/api/task/info/{task}", auth=credentials)
    for worker in notes.call("GET", "/api/workers?refresh=1", auth=credentials).json():
        notes.call("GET", f"/worker/{worker}", auth=credentials)


def halt(notes: Notebook, redis: Redis, fake: FakeTelegram, server: dict[str, str], fault: str) -> None:
    """Let Telegram refuse one call so that all workers stop, and wait until they may call again."""
    file_id, downloaded = fake.world.add_file(make_picture()), fake.world.add_file(make_picture())
    for method, one in (("download", downloaded), ("getFile", file_id)):
        fake.fail(method, fault, file_id=one)
        ask_for_all(notes, server, [one], [])
        wait_until_spoilt(fake)
    notes.call("GET", "/readyz")
    for path in ("/metrics", "/ops", "/ops.json"):  # with the earlier failures
        notes.call("GET", path, headers=server)
    wait_until(lambda: not redis.hexists(f"v2:{fake.world.bot_id}:budget", "halted"), 300)
