"""Helpers of the web tests: pictures in Redis without a worker, signed URLs, init data, queues."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any, cast
from urllib.parse import quote, urlencode

from flask import Flask

from faketelegram import TEST_TOKEN
from tests.conftest import SIGNING_KEY, next_id, wait_until
from tests.support.redis_kinds import connect_broker
from tests.support.running import Service
from warmer.errors import NoPhoto, Permanent
from warmer.photo import Rendering, Variant
from warmer.photo_urls import sign
from warmer.state.lease import LeaseManager
from web.photos.app import PhotoLayer
from web.photos.waiting import Waiting
from web.wiring import get_web_context

PREVIEW = "data:image/webp;base64,UklGRg=="
_numbers = count(1)
MakeApp = Callable[..., Flask]  # with settings by name; the fixture closes the apps
Headers = dict[str, str]


def new_file_id() -> str:
    """Returns a file id that no other test uses."""
    return f"AgACtest_-{next(_numbers):020}"


def new_id() -> int:
    """Returns a user id that no other test uses."""
    return 5_000_000_000 + next(_numbers)


def file_url(file_id: str, **query: object) -> str:
    """Returns the signed URL of a picture, in 160 pixels unless another size is given."""
    return f"/api/photos/file/{file_id}?{urlencode({'size': 160, 'sig': sign(SIGNING_KEY, f'file:{file_id}')} | query)}"


def user_url(user_id: int, **query: object) -> str:
    """Returns the signed URL of the current picture of an id."""
    return f"/api/photos/user/{user_id}?{urlencode({'size': 160, 'sig': sign(SIGNING_KEY, f'user:{user_id}')} | query)}"


def store_picture(app: Flask, file_id: str = "", fmt: str = "webp", sizes: tuple[int, ...] = (80, 160, 320)) -> str:
    """Store a picture like a worker, with made-up bytes (`body_of`). Returns its file id."""
    web_context, file_id = get_web_context(app), file_id or new_file_id()
    leases = LeaseManager(web_context.redis, web_context.keys)
    lease = leases.take(file_id, "warm")
    variants = tuple(Variant(size, fmt, body_of(file_id, size, fmt)) for size in sizes)
    web_context.photos.store.put(lease, Rendering(variants, PREVIEW, f"unique-{file_id}"))
    leases.release(lease)
    return file_id


def warm_picture(service: Service) -> str:
    """Let the whole service warm a new picture. Returns its URL path."""
    assert service.telegram
    user_id, world = next_id(), service.telegram.world
    world.add_user(user_id, "Ann")
    world.draw_all()
    body = {"name": "Ann", "photo_file_id": world.file_id(user_id, 320)}
    service.ask("PUT", f"/api/partner/{user_id}", json=body).raise_for_status()
    wait_until(lambda: service.ask("GET", f"/api/partner/{user_id}").json()["photo_ready"])
    return file_url(body["photo_file_id"])


def body_of(file_id: str, size: int = 160, fmt: str = "webp") -> bytes:
    return f"{file_id} {size} {fmt}".encode()


def leave_no_place(app: Flask) -> None:
    """As if as many requests waited as may."""
    layer = cast(PhotoLayer, app.wsgi_app)
    layer.context = replace(layer.context, waiting=Waiting(0.05, places=0))


def store_unavailable(app: Flask, subject: str, error: Permanent | None = None) -> str:
    """Store a negative cache entry, like a worker. Returns the subject."""
    web_context = get_web_context(app)
    leases = LeaseManager(web_context.redis, web_context.keys)
    lease = leases.take(subject, "warm")
    web_context.photos.store.put_unavailable(lease, (error or NoPhoto("none")).cause, 600, 600)
    leases.release(lease)
    return subject


def add_worker(app: Flask, name: str = "w1", **state: object) -> int:
    """Write a heartbeat, like a worker. Returns its time in Redis' seconds."""
    web_context = get_web_context(app)
    now = web_context.redis.time()[0]
    web_context.redis.set(web_context.keys.worker(name), json.dumps({"name": name, **state}))
    web_context.redis.zadd(web_context.keys.workers, {name: now})
    return now


def queued(app: Flask, lane: str = "warm") -> list[str]:
    """Returns the subjects of the messages that wait in this lane, oldest first."""
    web_context = get_web_context(app)
    messages: Any = connect_broker(web_context.settings).lrange(f"{web_context.keys.queue_prefix}{lane}", 0, -1)
    bodies = [json.loads(base64.b64decode(json.loads(message)["body"])) for message in messages]
    assert all(args[1] == lane for args, _, _ in bodies)
    return [args[0] for args, _, _ in bodies][::-1]


def dump(app: Flask) -> dict[str, Any]:
    """Returns all keys with their values, except counts of requests, and the figures that a thread writes."""
    redis = get_web_context(app).redis
    names: list[Any] = list(redis.scan_iter("v2:*"))
    return {name.decode(): redis.dump(name) for name in names if b":limits:" not in name and b":stats:" not in name}


def init_data(
    user: dict[str, Any] | str | None,
    *,
    token: str = TEST_TOKEN,
    age: float = 0,
    encode: Callable[[str], str] = lambda text: quote(text, safe=""),
    more: dict[str, str] | None = None,
) -> str:
    """Returns init data as Telegram signs it (core.telegram.org/bots/webapps), computed independently of our code."""
    fields = {"auth_date": str(int(time.time() - age))} | (more or {})
    if user is not None:
        fields["user"] = user if isinstance(user, str) else json.dumps(user, ensure_ascii=False)
    check_string = "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
    secret = hmac.digest(b"WebAppData", token.encode(), hashlib.sha256)
    digest = hmac.digest(secret, check_string.encode(), hashlib.sha256).hex()
    return "&".join(f"{name}={encode(value)}" for name, value in {**fields, "hash": digest}.items())


def as_user(user_id: int, first_name: str = "Ann", **more: str) -> dict[str, str]:
    """Returns the headers of a Mini App's user."""
    return {"Authorization": "tma " + init_data({"id": user_id, "first_name": first_name, **more})}


def assert_problem(answer: Any, status: int) -> dict[str, Any]:
    """Check that the answer is a problem document with this status. Returns it."""
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.headers["Cache-Control"] == "no-store"
    assert {"type", "title", "status", "detail"} <= set(answer.json)
    assert answer.json["status"] == status
    return dict(answer.json)
