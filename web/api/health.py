"""For operators: liveness, readiness and metrics."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from redis.exceptions import RedisError

from warmer.state.workers import judge_bot, list_worker_statuses
from web.api.auth import require
from web.api.context import ApiContext
from web.context import get_context
from web.observe.context import ObserveContext
from web.observe.metrics import render_metrics
from web.problems import is_away

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def is_alive() -> Response:
    """This process answers."""
    return jsonify(status="ok")


@bp.get("/readyz")
def is_ready() -> tuple[Response, int]:
    """Whether this process can answer hits. Workers and bot come from heartbeats, never from a broadcast."""
    context = get_context(ApiContext)
    try:
        statuses = list_worker_statuses(context.redis, context.keys)
    except RedisError as error:
        if not is_away(error):
            raise
        return jsonify(status="unavailable", checks={"redis": "away", "worker": "unknown", "bot": "unknown"}), 503
    checks = {"redis": "ok", "worker": "ok" if statuses else "missing", "bot": judge_bot(statuses)}
    return jsonify(status="ok" if set(checks.values()) == {"ok"} else "degraded", checks=checks), 200


@bp.get("/metrics")
def show_metrics() -> Response:
    """Prometheus metrics of web and workers on this machine, and of the queues."""
    require("server")
    body, content_type = render_metrics(get_context(ObserveContext))
    return Response(body, content_type=content_type)
