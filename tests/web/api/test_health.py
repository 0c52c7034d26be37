"""Health routes: alive, and ready while hits can be answered; worker state comes from heartbeats."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from faketelegram import FakeTelegram
from tests.conftest import wait_until
from tests.support.redis_nodes import RedisServer
from tests.support.web_parts import MakeApp, add_worker
from warmer.keys import HEARTBEAT_SECONDS
from web.wiring import get_web_context


def set_beat(app: Flask) -> None:
    """Write a heartbeat as beat does."""
    web_context = get_web_context(app)
    web_context.redis.set(web_context.keys.beat, "1", ex=HEARTBEAT_SECONDS)


def test_healthz_is_ok(client: FlaskClient) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_without_a_worker_the_service_is_ready_but_degraded(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    checks = {"redis": "ok", "broker": "ok", "worker": "missing", "beat": "missing", "bot": "unknown"}
    assert (answer.status_code, answer.json) == (200, {"status": "degraded", "checks": checks})


@pytest.mark.parametrize(
    ("bots", "bot", "status"),
    [
        (["ok"], "ok", "ok"),
        (["ok", "ok"], "ok", "ok"),
        (["ok", "unknown"], "ok", "ok"),
        (["unreachable"], "unreachable", "degraded"),
        (["unauthorized", "ok"], "unauthorized", "degraded"),
        (["logged_out", "ok"], "logged_out", "degraded"),
        (["unknown"], "unknown", "degraded"),
    ],
)
def test_the_bot_state_is_the_worst_that_workers_report(
    app: Flask, client: FlaskClient, bots: list[str], bot: str, status: str
) -> None:
    for number, state in enumerate(bots):
        add_worker(app, f"worker-{number}", bot=state)
    set_beat(app)
    answer: Any = client.get("/readyz")
    assert (answer.status_code, answer.json["status"]) == (200, status)
    assert answer.json["checks"] == {"redis": "ok", "broker": "ok", "worker": "ok", "beat": "ok", "bot": bot}


def test_without_redis_readyz_is_503_and_recovers(tmp_path: Path, telegram: FakeTelegram, make_app: MakeApp) -> None:
    with RedisServer(tmp_path) as server:
        client = make_app(redis_url=server.url).test_client()
        server.process.send_signal(signal.SIGSTOP)
        answer: Any = client.get("/readyz")
        assert (answer.status_code, answer.json["checks"]["redis"]) == (503, "away")
        assert client.get("/healthz").status_code == 200
        server.process.send_signal(signal.SIGCONT)
        wait_until(lambda: client.get("/readyz").status_code == 200)


def test_health_answers_are_not_cached_and_have_no_cors_headers(client: FlaskClient) -> None:
    answer = client.get("/readyz", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "max-age" not in answer.headers.get("Cache-Control", "")
