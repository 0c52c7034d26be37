"""The request log: one line per request, with an id that the answer repeats and the warming logs, too."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.conftest import next_id, wait_until
from tests.support.web_parts import file_url, new_file_id, store_picture, store_unavailable
from tests.warmer.observe.test_logs import Read, restored, start
from warmer.celery import app as celery
from warmer.errors import InvalidFileId
from warmer.request_id import MESSAGE_HEADER, get_request_id, working_for
from warmer.settings import Settings
from warmer.wiring import WorkerContext
from web.observe.request_ids import RequestIds
from web.wiring import get_web_context

__all__ = ["restored"]


@pytest.fixture
def read(settings: Settings, restored: None) -> Read:
    return start(settings, "json", "INFO")


def lines(app: Flask, read: Read, request_id: str) -> list[dict[str, Any]]:
    get_web_context(app).observe.access_log.write()
    return [line for line in map(json.loads, read().splitlines()) if line.get("request_id") == request_id]


@pytest.mark.parametrize("case", ["200", "404", "503", "400", "403", "405", "OPTIONS", "none", "recent", "401"])
def test_every_request_leaves_one_line_with_its_id(app: Flask, client: FlaskClient, read: Read, case: str) -> None:
    file_id = store_picture(app)
    urls = {
        "404": file_url(store_unavailable(app, new_file_id(), InvalidFileId("x"))),
        "503": file_url(new_file_id()), "400": file_url(file_id, size=1), "403": file_url(file_id, sig="x"),
        "none": "/nowhere", "recent": "/api/partner/recent", "401": "/api/partner/me",
    }  # fmt: skip
    method = {"405": "POST", "OPTIONS": "OPTIONS"}.get(case, "GET")
    answer = client.open(urls.get(case, file_url(file_id)), method=method, headers={"X-Request-ID": f"test.{case}"})
    assert answer.headers.getlist("X-Request-ID") == [f"test.{case}"]
    (line,) = lines(app, read, f"test.{case}")
    assert (line["method"], line["status"]) == (method, answer.status_code)
    assert line["milliseconds"] >= 0
    assert line["route"] == "none" if case == "none" else line["route"].startswith("/api/")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/static/page.js"])
def test_health_checks_and_static_files_leave_no_line(app: Flask, client: FlaskClient, read: Read, path: str) -> None:
    assert client.get(path, headers={"X-Request-ID": "quiet"}).headers["X-Request-ID"] == "quiet"
    assert lines(app, read, "quiet") == []


@pytest.mark.parametrize("path", ["/healthz", "/api/photos/file/x"])
def test_a_malformed_request_id_is_replaced(client: FlaskClient, path: str) -> None:
    malformed = ("", "a b", "a,b", "x" * 65, "é", "a\tb")
    made = {given: client.get(path, headers={"X-Request-ID": given}).headers["X-Request-ID"] for given in malformed}
    assert {given: one for given, one in made.items() if not re.fullmatch(r"[0-9a-f]{8}-[0-9]+", one)} == {}


def test_generated_ids_differ_within_and_between_processes() -> None:
    one, other = RequestIds(), RequestIds()
    assert len({ids.choose(None) for ids in (one, other) for _ in range(100)}) == 200


def test_the_text_format_ends_with_the_request_id(
    app: Flask, client: FlaskClient, settings: Settings, restored: None
) -> None:
    read, url = start(settings, "text", "INFO"), file_url(store_picture(app))
    client.get(url, headers={"X-Request-ID": "hit"})
    client.get("/nowhere", headers={"X-Request-ID": "other"})
    get_web_context(app).observe.access_log.write()
    written = read()
    assert re.search(r"📸 Photo served for \S+\.\.\. in \d+ms \[hit\]\n", written)
    assert re.search(r"GET none 404 in \d+ms \[other\]\n", written)


def test_the_message_carries_the_request_id(app: Flask, client: FlaskClient) -> None:
    client.get(file_url(new_file_id()), headers={"X-Request-ID": "miss"})
    web_context = get_web_context(app)
    (message,) = web_context.redis.lrange(f"{web_context.keys.queue_prefix}hot", 0, -1)
    assert json.loads(message)["headers"][MESSAGE_HEADER] == "miss"


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(("sent", "told"), [("r-1", "r-1"), ("", None), ("not well-formed", None)])
def test_a_warming_logs_the_request_id_of_its_message(
    context: WorkerContext, read: Read, sent: str, told: str | None
) -> None:
    headers = {MESSAGE_HEADER: sent} if sent else None
    celery.send_task("warm", args=[f"AgACnobody_-{next_id():020}", "warm"], queue="warm", headers=headers)
    wait_until(lambda: "warmer.worker.tasks" in read())
    (line,) = [one for one in map(json.loads, read().splitlines()) if one["logger"] == "warmer.worker.tasks"]
    assert (line.get("request_id"), line["lane"]) == (told, "warm")


def test_after_the_work_the_thread_has_no_request_id() -> None:
    with working_for("a"), working_for("not well-formed"):
        assert get_request_id() == ""
    assert get_request_id() == ""
