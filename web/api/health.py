"""For operators: alive, ready, and figures."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from redis.exceptions import RedisError

from warmer.state.workers import judge_bot, list_pulses
from web.api.auth import require
from web.context import get_front
from web.observe.metrics import render_metrics
from web.problems import is_away

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def is_alive() -> Response:
    """This process answers."""
    return jsonify(status="ok")


@bp.get("/readyz")
def is_ready() -> tuple[Response, int]:
    """Whether this process can answer hits; workers and bot as they say of themselves, never by a broadcast."""
    front = get_front()
    try:
        pulses = list_pulses(front.redis, front.keys)
    except RedisError as error:
        if not is_away(error):
            raise
        return jsonify(status="unavailable", checks={"redis": "away", "worker": "unknown", "bot": "unknown"}), 503
    checks = {"redis": "ok", "worker": "ok" if pulses else "missing", "bot": judge_bot(pulses)}
    return jsonify(status="ok" if set(checks.values()) == {"ok"} else "degraded", checks=checks), 200


@bp.get("/metrics")
def show_metrics() -> Response:
    """Prometheus figures of web and workers on this machine, and of the queues."""
    require("server")
    body, content_type = render_metrics(get_front())
    return Response(body, content_type=content_type)
