"""The operators' page: access, content, and content while Redis or the broker is away."""

from __future__ import annotations

import base64
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import API_KEY, wait_until
from tests.support.redis_nodes import RedisServer
from tests.support.remaining import remaining
from tests.support.web_parts import MakeApp, add_worker, as_user, file_url, new_file_id, new_id, store_picture
from warmer.errors import InvalidFileId
from warmer.observe.verdict import OtherFault, Verdict
from warmer.state.budget import Budget
from warmer.state.failures import Failures
from web.pages.history import Figures
from web.pages.ops import format_age
from web.pages.overview import Now, Overview
from web.wiring import get_web_context

FAR = {"environ_base": {"REMOTE_ADDR": "203.0.113.7"}}  # RFC 5737
WANTED = 'Bearer realm="avatar-warmer", Basic realm="avatar-warmer", charset="UTF-8"'
PAGE_KEY = "the-key-of-a-page-for-one-start-only"
PATHS = ["/ops", "/ops.json"]
KEY = {"Authorization": f"Bearer {API_KEY}"}


def basic(password: str, user: str = "ops") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def read(client: FlaskClient) -> Any:
    answer = client.get("/ops.json", headers=KEY)
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    return answer.json


# Access


@pytest.mark.parametrize("path", PATHS)
def test_without_a_key_the_page_answers_401_with_the_accepted_schemes(client: FlaskClient, path: str) -> None:
    for address in (FAR, {"environ_base": {"REMOTE_ADDR": "127.0.0.1"}}):  # a proxy may run on the machine itself
        answer = client.get(path, **address)
        assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
        assert answer.headers["WWW-Authenticate"] == WANTED


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{"Authorization": f"Bearer {API_KEY}"}, basic(API_KEY), basic(API_KEY, "")])
def test_an_api_key_opens_the_page_as_bearer_token_or_as_password(
    client: FlaskClient, path: str, headers: dict[str, str]
) -> None:
    assert client.get(path, headers=headers, **FAR).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        *({"Authorization": word} for word in ("Bearer x", "Bearer", "Basic", "Basic !", f"Basic {API_KEY}")),
        {"Authorization": f"Digest {API_KEY}"}, basic(""), basic("x"), basic("", API_KEY), basic(API_KEY + "ä"),
    ],
)  # fmt: skip
def test_any_other_credential_is_refused(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.get("/ops", headers=headers, **FAR).status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_a_proxy_that_names_an_address_of_this_machine_opens_nothing(client: FlaskClient, path: str) -> None:
    fields = ("X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Client-IP")
    forged = [*({name: "127.0.0.1"} for name in fields), {"Forwarded": "for=127.0.0.1;host=127.0.0.1"}]
    near = {"environ_base": {"REMOTE_ADDR": "127.0.0.1"}, "base_url": "http://127.0.0.1"}
    assert [one for one in forged if client.get(path, headers=one, **near).status_code != 401] == []


def test_a_user_is_refused(client: FlaskClient) -> None:
    assert client.get("/ops", headers=as_user(new_id()), **FAR).status_code == 403


@pytest.mark.usefixtures("redis", "telegram")
@pytest.mark.parametrize("path", PATHS)
def test_the_page_key_opens_it_from_anywhere(make_app: MakeApp, path: str) -> None:
    client = make_app(page_key=PAGE_KEY).test_client()
    client.get(f"/?key={PAGE_KEY}")
    assert client.get(path, **FAR).status_code == 200


@pytest.mark.usefixtures("redis", "telegram")
@pytest.mark.parametrize("path", PATHS)
def test_the_page_key_opens_it_in_the_cookie_of_its_port_alone(make_app: MakeApp, path: str) -> None:
    """In the URL of a page it would stay in the browser's history, and in the log of a proxy."""
    client = make_app(page_key=PAGE_KEY, port=8123).test_client()
    client.set_cookie("avatar_warmer_8124", PAGE_KEY)
    given = [f"{path}?key={PAGE_KEY}", f"{path}?avatar_warmer_8123={PAGE_KEY}", path]
    assert [client.get(one).status_code for one in given] == [401] * 3
    client.set_cookie("avatar_warmer_8123", PAGE_KEY)
    assert client.get(path).status_code == 200


def test_a_password_is_no_key_for_other_routes(client: FlaskClient) -> None:
    answer = client.get("/metrics", headers=basic(API_KEY))
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="avatar-warmer"')


# Content


def test_the_page_loads_one_script_of_its_own_and_is_not_cached(client: FlaskClient) -> None:
    answer = client.get("/ops", headers=KEY)
    policy = answer.headers["Content-Security-Policy"]
    wanted = {"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"}
    assert wanted | {"frame-ancestors 'none'"} <= set(policy.split("; "))
    assert "unsafe" not in policy
    assert (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    page = answer.get_data(as_text=True)
    [script] = re.findall(r"<script[^>]*>\s*\S", page)
    assert re.fullmatch(r'<script type="module" src="static/[0-9a-f]{12}/ops\.js"><', script)
    assert re.findall(r"<style|\bstyle=|\bon\w+=|javascript:", page) == []


def test_the_page_shows_requests_calls_and_queue_lengths(app: Flask, client: FlaskClient) -> None:
    web_context = get_web_context(app)
    client.get(file_url(store_picture(app)))
    web_context.observe.access_log.write()
    web_context.observe.stats.count(
        {"calls": 3, "failed_calls": 1, "pauses": 1, "warmings": 2, "unavailable:too-big": 1}
    )
    web_context.observe.stats.flush()
    web_context.observe.stats.sample({"due": 5, "queue:hot": 7, "workers": 1})
    for period in ("hour", "day"):
        shown = read(client)[period]
        assert (shown["requests"], shown["hit_rate"], shown["error_rate"]) == (1, 1, 0)
        assert (shown["calls"], shown["failed_calls"], shown["pauses"], shown["warmings"]) == (3, 1, 1, 2)
        assert (shown["unavailable"], shown["queues"], shown["due"]) == ({"too-big": 1}, {"hot": 7}, 5)
        assert shown["cached"]["p99_ms"] == shown["served"]["p99_ms"] > 0


def test_the_hour_is_part_of_the_day(app: Flask, client: FlaskClient) -> None:
    web_context = get_web_context(app)
    minute = web_context.redis.time()[0] // 60
    for ago in (30, 90, 1500):
        web_context.redis.hset(web_context.keys.stats(minute - ago), "requests", ago)
    shown = read(client)
    assert (shown["hour"]["requests"], shown["day"]["requests"]) == (30, 120)
    assert sum(step["figures"]["requests"] for step in shown["steps"] if step["figures"]) == 120
    assert 144 <= len(shown["steps"]) <= 145


def test_the_page_shows_the_current_state(app: Flask, client: FlaskClient) -> None:
    web_context = get_web_context(app)
    Budget(web_context.redis, web_context.keys, 12).pause(30)
    Budget(web_context.redis, web_context.keys, 12).halt()
    now = add_worker(app, bot="unauthorized")
    web_context.redis.zadd(web_context.keys.schedule, {"a": now - 100, "b": now + 30, "c": now + 600, "d": now + 7200})
    shown = read(client)["now"]
    assert (shown["workers"], shown["bot"], shown["is_halted"]) == (["w1"], "unauthorized", True)
    assert (shown["due"], shown["due_within_minute"], shown["due_within_hour"]) == (4, 2, 3)
    assert shown["late_seconds"] >= 100
    page = client.get("/ops", headers=KEY).get_data(as_text=True)
    assert "Telegram refuses the bot token" in page
    assert "halted" in page


def test_the_page_shows_the_remaining_seconds_of_a_pause(app: Flask, client: FlaskClient) -> None:
    web_context = get_web_context(app)
    Budget(web_context.redis, web_context.keys, 12).pause(30)
    assert read(client)["now"]["paused_seconds"] == remaining(30)
    assert "Telegram asked for a pause" in client.get("/ops", headers=KEY).get_data(as_text=True)


def test_failures_are_shown_with_their_reasons_and_escaped(app: Flask, client: FlaskClient) -> None:
    web_context, file_id = get_web_context(app), new_file_id()
    Failures(web_context.redis, web_context.keys, web_context.observe.stats).note(
        file_id, InvalidFileId("getFile: <b>400</b>")
    )
    [failure] = read(client)["failures"]
    assert (failure["subject"], failure["cause"], failure["reason"]) == (
        file_id, "invalid-file-id", "getFile: <b>400</b>"
    )  # fmt: skip
    page = client.get("/ops", headers=KEY).get_data(as_text=True)
    assert file_id in page
    assert "<b>" not in page


def test_a_missed_target_is_also_marked_in_words(app: Flask, client: FlaskClient) -> None:
    web_context = get_web_context(app)
    web_context.observe.stats.count({"requests": 100, "hits": 80, "misses": 20})
    web_context.observe.stats.flush()
    assert "⚠ target over 90 %" in client.get("/ops", headers=KEY).get_data(as_text=True)


@pytest.mark.parametrize(
    ("few", "last", "target"),
    [
        ({"hits": 9, "misses": 10}, "misses", "target over 90 %"),
        ({"requests": 19, "errors": 1}, "requests", "target under 1 %"),
        ({"hits": 60, "hit_ms:5000": 60}, "hits", "target under 100 ms"),
        ({"misses": 20, "miss_ms:5000": 20}, "misses", "target under 500 ms"),
    ],
)
def test_a_target_is_missed_by_no_fewer_requests_than_the_verdict_needs(
    app: Flask, client: FlaskClient, few: dict[str, int], last: str, target: str
) -> None:
    stats = get_web_context(app).observe.stats
    stats.count(few)
    stats.flush()
    shown = read_main(client)
    assert f"too few to tell, {target}" in shown
    assert f"⚠ {target}" not in shown
    stats.count({last: 1})
    stats.flush()
    assert f"⚠ {target}" in read_main(client)


def test_the_json_has_the_documented_fields(client: FlaskClient) -> None:
    document: Any = client.get("/openapi.json").json
    schemas = document["components"]["schemas"]
    now = schemas["Overview"]["properties"]["now"]["anyOf"][1]
    other = schemas["Verdict"]["properties"]["others"]["items"]
    for schema, shown in (
        (schemas["Overview"], Overview),
        (schemas["Figures"], Figures),
        (schemas["Verdict"], Verdict),
        (other, OtherFault),
        (now, Now),
    ):
        names = {field.name for field in fields(shown)}
        assert set(schema["required"]) == set(schema["properties"]) == names


def test_an_age_is_formatted_in_one_unit() -> None:
    ages = [format_age(seconds) for seconds in (-1, 59, 60, 7199, 90_000)]
    assert ages == ["0 s ago", "59 s ago", "1 min ago", "1 h ago", "1 d ago"]


# The verdict


def test_the_page_begins_with_the_verdict_of_the_figures(app: Flask, client: FlaskClient) -> None:
    web_context = get_web_context(app)
    now = add_worker(app, bot="ok", started_at=web_context.redis.time()[0])
    web_context.redis.set(web_context.keys.beat, "1")
    assert read(client)["verdict"]["sentence"] == "All is well."
    assert read_main(client).startswith("All is well. Now ")
    web_context.redis.zadd(web_context.keys.workers, {"lost": now + 1})
    web_context.redis.delete(web_context.keys.beat)
    verdict = read(client)["verdict"]
    assert (verdict["fault"], [other["fault"] for other in verdict["others"]]) == ("BeatMissing", ["WorkersFewer"])
    assert read_main(client).startswith(verdict["sentence"])
    page = client.get("/ops", headers=KEY).get_data(as_text=True)
    assert "<title>BeatMissing · avatar-warmer</title>" in page
    for link in (verdict["link"], verdict["others"][0]["link"]):
        assert f'href="{link}"' in page
        path, _, anchor = link.partition("#")
        assert f'id="{anchor}"' in client.get(f"/{path}").get_data(as_text=True)


def read_main(client: FlaskClient) -> str:
    """The text of the page below its header."""
    main = client.get("/ops", headers=KEY).get_data(as_text=True).partition("<main>")[2]
    return " ".join(re.sub(r"<[^>]+>", " ", main).split())


def test_with_a_public_url_the_links_are_absolute(make_app: MakeApp, redis: object, telegram: object) -> None:
    client = make_app(public_url="https://avatars.example/a").test_client()
    assert read(client)["verdict"]["link"].startswith("https://avatars.example/a/docs/runbook.md#")
    client = make_app(public_url="https://avatars.example", docs_url="https://docs.example/").test_client()
    assert read(client)["verdict"]["link"].startswith("https://docs.example/runbook.html#")


# How far the figures reach back


def test_the_figures_say_since_when_there_are_any(app: Flask, client: FlaskClient) -> None:
    web_context = get_web_context(app)
    assert read(client)["since"] is None
    minute = web_context.redis.time()[0] // 60
    for ago in (12, 3, 1):
        web_context.redis.hset(web_context.keys.stats(minute - ago), "requests", ago)
    assert read(client)["since"] // 60 == minute - 12
    assert re.search("since 1[23] min", read_main(client))  # a minute may end meanwhile
    web_context.redis.hset(web_context.keys.stats(minute - 1435), "requests", 1)
    assert "since" not in read_main(client)
    assert "24 h ago" in read_main(client)


# Redis or the broker is away


def test_without_redis_the_page_says_so(tmp_path: Path, make_app: MakeApp) -> None:
    with RedisServer(tmp_path) as server:
        client = make_app(redis_url=server.url).test_client()
        wait_until(lambda: read(client)["redis"] == "ok")
        server.kill()
        shown, answer = read(client), client.get("/ops", headers=KEY)
    assert (shown["redis"], shown["now"], shown["day"], shown["steps"]) == ("away", None, None, [])
    assert answer.status_code == 200
    assert b"Redis is away" in answer.data


def test_without_a_broker_the_page_shows_everything_else(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with Celery("away", broker="redis://127.0.0.1:1/0", set_as_current=False) as away:
        away.conf.update(broker_transport_options={"max_retries": 0})
        monkeypatch.setattr(get_web_context(app).photos.publisher, "app", away)
        shown, answer = read(app.test_client()), app.test_client().get("/ops", headers=KEY)
    assert (shown["redis"], shown["broker"], shown["queues"]) == ("ok", "away", {})
    assert shown["now"]
    assert b"The broker is away" in answer.data


# The checks


def test_the_page_and_its_figures_show_the_checks_of_readyz(app: Flask, client: FlaskClient) -> None:
    web_context = get_web_context(app)
    now = add_worker(app, bot="ok", started_at=web_context.redis.time()[0])
    web_context.redis.zadd(web_context.keys.workers, {"lost": now + 1})
    shown = read(client)
    assert shown["checks"] == client.get("/readyz").json["checks"]  # type: ignore[index]
    states = (shown["checks"]["worker"], shown["checks"]["beat"], shown["now"]["silent"])
    assert states == ("fewer", "missing", ["lost"])
    page = client.get("/ops", headers=KEY).get_data(as_text=True)
    assert "fewer: lost fell silent" in page
    assert "missing" in page


def test_a_call_that_fails_for_every_picture_is_named(app: Flask, client: FlaskClient) -> None:
    context = get_web_context(app)
    add_worker(app, bot="ok")
    Budget(context.redis, context.keys, 1).begin_outage("download")
    now = read(client)["now"]
    assert (now["bot"], now["ill"]) == ("unreachable", ["download"])
    assert "no usable answer to download" in client.get("/ops", headers=KEY).get_data(as_text=True)
