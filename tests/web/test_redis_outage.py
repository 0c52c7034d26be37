"""Without Redis a request gets a quick 503, and what needs no Redis is answered."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from redis.exceptions import ResponseError

from tests.conftest import wait_until
from tests.support.redis_nodes import RedisServer
from tests.support.web_parts import (
    Headers,
    MakeApp,
    as_user,
    assert_problem,
    file_url,
    new_file_id,
    new_id,
    store_picture,
    user_url,
)
from warmer.redis_errors import is_away
from web.wiring import get_web_context


@pytest.fixture
def patient_app(tmp_path: Path, telegram: object, as_server: Headers, make_app: MakeApp) -> Iterator[Flask]:
    """An app with its own Redis, a stored picture and a partner, that waits for as long as a busy machine takes."""
    with RedisServer(tmp_path, **{"maxmemory-policy": "noeviction"}) as server:
        app = make_app(redis_url=server.url, photo_wait=0.2, patient=True)
        wait_until(lambda: is_redis_ok(app))
        app.config.update(server=server, stored=file_url(store_picture(app)), folder=tmp_path)
        body = {"name": "Ann", "photo_file_id": new_file_id()}
        assert ask(app, "PUT", "/api/partner/42", json=body, headers=as_server).status_code == 201
        yield app


@pytest.fixture
def app_with_own_redis(patient_app: Flask, make_app: MakeApp) -> Flask:
    """Another app on this Redis, with the time limits of production, for tests that stop or freeze it."""
    app, kept = make_app(redis_url=patient_app.config["server"].url, photo_wait=0.2), ("server", "stored", "folder")
    app.config.update({name: patient_app.config[name] for name in kept})
    wait_until(lambda: is_redis_ok(app))
    return app


def is_redis_ok(app: Flask) -> bool:
    return bool(ask(app, "GET", "/readyz").json["checks"]["redis"] == "ok")


def freeze(app: Flask) -> None:
    app.config["server"].process.send_signal(signal.SIGSTOP)


def thaw(app: Flask) -> None:
    app.config["server"].process.send_signal(signal.SIGCONT)


def list_requests(app: Flask, as_server: Headers) -> list[tuple[str, str, dict[str, Any]]]:
    """Returns a request for every route that needs Redis."""
    name, ids = {"json": {"name": "Ann"}}, {"json": {"ids": [42]}}
    file_ids = {"json": {"photo_file_ids": [new_file_id()]}}
    user, server = {"headers": as_user(42)}, {"headers": as_server}
    return [
        ("GET", app.config["stored"], {}),
        ("HEAD", app.config["stored"], {}),
        ("GET", app.config["stored"], {"headers": {"If-None-Match": "*"}}),
        ("GET", user_url(42), {}),
        ("GET", "/api/partner/recent", user),
        ("POST", "/api/partner/me", user),
        ("GET", "/api/partner/me", user),
        ("DELETE", "/api/partner/me", user),
        ("PUT", "/api/partner/42", server | name),
        ("GET", "/api/partner/42", server),
        ("DELETE", "/api/partner/42", server),
        ("POST", "/api/photos/warm", server | file_ids),
        ("POST", "/api/photos/resolve", server | ids),
        ("POST", "/api/photos/refresh", server | ids),
        ("POST", "/try", server | {"json": {"id": 42}}),
    ]


def ask(app: Flask, method: str, path: str, **more: Any) -> Any:
    return app.test_client().open(path, method=method, **more)


def test_a_hanging_redis_is_503_and_then_skipped(
    app_with_own_redis: Flask, as_server: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.redis_breaker.OPEN_SECONDS", 600.0)
    freeze(app_with_own_redis)
    answer = ask(app_with_own_redis, "GET", app_with_own_redis.config["stored"])
    assert_problem(answer, 503)
    assert answer.headers["Retry-After"] == "1"
    monkeypatch.setattr(get_web_context(app_with_own_redis).breaker, "begin_call", lambda: pytest.fail("asked"))
    answers = [
        (path, ask(app_with_own_redis, method, path, **more))
        for method, path, more in list_requests(app_with_own_redis, as_server)
    ]
    expected = (503, "1")
    wrong = [path for path, one in answers if (one.status_code, one.headers.get("Retry-After")) != expected]
    assert wrong == []


@pytest.mark.parametrize("number", range(15))
def test_every_route_detects_a_hanging_redis(app_with_own_redis: Flask, as_server: Headers, number: int) -> None:
    method, path, more = list_requests(app_with_own_redis, as_server)[number]
    freeze(app_with_own_redis)
    answer = ask(app_with_own_redis, method, path, **more)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    if method != "HEAD":
        assert_problem(answer, 503)


def test_without_redis_requests_that_do_not_need_it_are_answered(app_with_own_redis: Flask, as_server: Headers) -> None:
    freeze(app_with_own_redis)
    stored = app_with_own_redis.config["stored"]
    ask(app_with_own_redis, "GET", stored)  # opens the breaker
    wanted = {
        ("GET", stored + "x"): 403,
        ("GET", stored.replace("size=160", "size=1")): 400,
        ("GET", "/healthz"): 200,
        ("GET", "/"): 200,
        ("GET", "/static/page.js"): 200,
        ("GET", "/nowhere"): 404,
        ("POST", stored): 405,
        ("GET", "/api/partner/recent"): 401,
        ("GET", "/api/partner/recent?limit=0"): 400,
        ("PUT", "/api/partner/42"): 415,
        ("PUT", "/api/partner/042"): 404,
    }
    headers = {"/api/partner/recent?limit=0": as_server, "/api/partner/42": as_server, "/api/partner/042": as_server}
    answers = {key: ask(app_with_own_redis, *key, headers=headers.get(key[1], {})).status_code for key in wanted}
    assert answers == wanted


def test_a_recovered_redis_is_used_again(app_with_own_redis: Flask) -> None:
    freeze(app_with_own_redis)
    assert ask(app_with_own_redis, "GET", app_with_own_redis.config["stored"]).status_code == 503
    thaw(app_with_own_redis)
    wait_until(lambda: ask(app_with_own_redis, "GET", app_with_own_redis.config["stored"]).status_code == 200)


def test_a_killed_redis_is_503_until_it_is_back(app_with_own_redis: Flask) -> None:
    app_with_own_redis.config["server"].kill()
    assert ask(app_with_own_redis, "GET", app_with_own_redis.config["stored"]).status_code == 503
    app_with_own_redis.config["server"].start()
    wait_until(lambda: is_redis_ok(app_with_own_redis))


@pytest.mark.usefixtures("telegram")
@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1", "unix:///nowhere.sock", "rediss://127.0.0.1:1", "redis://nowhere.invalid"]
)
def test_an_unreachable_redis_is_503(url: str, make_app: MakeApp) -> None:
    assert_problem(ask(make_app(redis_url=url), "GET", file_url(new_file_id())), 503)


def refuse_for_memory(app: Flask) -> None:
    get_web_context(app).redis.config_set("maxmemory", "1")


def refuse_as_a_replica(app: Flask) -> None:
    get_web_context(app).redis.replicaof("127.0.0.1", 1)


def refuse_for_a_full_disk(app: Flask) -> None:
    redis = get_web_context(app).redis
    redis.config_set("save", "3600 1")
    shutil.rmtree(app.config["folder"], ignore_errors=True)
    redis.bgsave()
    wait_until(lambda: redis.info("persistence")["rdb_last_bgsave_status"] == "err")


def refuse_by_acl(app: Flask) -> None:
    app.config["server"].client.execute_command("ACL", "SETUSER", "default", "-eval", "-evalsha")


def refuse_by_acl_within_scripts(app: Flask) -> None:
    app.config["server"].client.execute_command("ACL", "SETUSER", "default", "-set")


def refuse_without_replicas(app: Flask) -> None:
    app.config["server"].client.config_set("min-replicas-to-write", 1)


REFUSALS = [
    refuse_for_memory, refuse_as_a_replica, refuse_for_a_full_disk, refuse_by_acl, refuse_by_acl_within_scripts,
    refuse_without_replicas,
]  # fmt: skip


@pytest.mark.parametrize("refuse", REFUSALS)
def test_without_writes_hits_and_lists_are_served_and_other_requests_are_503(
    patient_app: Flask, as_server: Headers, refuse: Any
) -> None:
    web_context, aged, shown = get_web_context(patient_app), new_id(), store_picture(patient_app)
    # A stale profile is also enqueued for a check: this write fails, the answer stays 200.
    record = json.dumps({"photo_file_id": shown, "photo_unique_id": "u", "looked_up_at": 0})
    web_context.redis.set(web_context.keys.person(aged), record)
    refuse(patient_app)
    reads = (patient_app.config["stored"], user_url(aged), "/api/partner/recent", "/api/partner/42", "/readyz")
    assert [ask(patient_app, "GET", path, headers=as_server).status_code for path in reads] == [200] * 5
    cold = ask(patient_app, "GET", file_url(new_file_id()))
    assert_problem(cold, 503)
    body = {"json": {"name": "Ann"}, "headers": as_server}
    assert_problem(ask(patient_app, "PUT", "/api/partner/7", **body), 503)
    assert_problem(ask(patient_app, "POST", "/api/partner/me", headers=as_user(7)), 503)
    warm = ask(patient_app, "POST", "/api/photos/warm", json={"photo_file_ids": [new_file_id()]}, headers=as_server)
    assert (warm.status_code, warm.headers["Retry-After"]) == (503, "1")


@pytest.mark.parametrize("who", ["server", "user"])
def test_a_partner_is_deleted_while_redis_is_full(patient_app: Flask, as_server: Headers, who: str) -> None:
    ask(patient_app, "GET", "/api/partner/recent", headers=as_server)
    wait_until(lambda: get_web_context(patient_app).api.lists.hears_purges)  # so the deletion waits for this process
    refuse_for_memory(patient_app)
    if who == "server":
        deleted = ask(patient_app, "DELETE", "/api/partner/42", headers=as_server)
    else:
        deleted = ask(patient_app, "DELETE", "/api/partner/me", headers=as_user(42))
    assert deleted.status_code == 204
    assert ask(patient_app, "GET", "/api/partner/42", headers=as_server).status_code == 404


def test_a_wait_that_ends_because_the_server_becomes_a_replica_is_an_outage(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server, ThreadPoolExecutor(1) as pool:
        popped = pool.submit(server.client.blpop, ["nothing"], 60)
        wait_until(lambda: server.client.info("clients")["blocked_clients"])
        server.client.replicaof("127.0.0.1", 1)
        with pytest.raises(ResponseError) as caught:
            popped.result()
    assert is_away(caught.value)


def test_while_a_script_blocks_redis_requests_are_503(patient_app: Flask, as_server: Headers) -> None:
    with patient_app.config["server"].client as client, ThreadPoolExecutor(1) as pool:
        client.config_set("lua-time-limit", 1)
        endless = pool.submit(client.eval, "while true do end", 0)
        try:
            for path in (patient_app.config["stored"], "/api/partner/42"):
                answer = ask(patient_app, "GET", path, headers=as_server)
                assert_problem(answer, 503)
                assert answer.headers["Retry-After"] == "1"
        finally:
            wait_until(client.script_kill)
        with pytest.raises(ResponseError):
            endless.result()


def test_a_wrong_command_is_an_error_of_ours_and_not_an_outage(redis: Redis) -> None:
    redis.set("text", "a")
    with pytest.raises(ResponseError) as caught:
        redis.hget("text", "a")
    assert not is_away(caught.value)
