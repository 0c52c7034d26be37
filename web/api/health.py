"""For operators: liveness, readiness and metrics."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from web.api.auth import require
from web.api.context import ApiContext
from web.context import get_context
from web.observe.context import ObserveContext
from web.observe.metrics import render_metrics

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def is_alive() -> Response:
    """This process answers."""
    return jsonify(status="ok")


@bp.get("/readyz")
def is_ready() -> tuple[Response, int]:
    """Answer 200 if this process can answer hits, and say what else works. No check calls a worker or Telegram."""
    health = get_context(ApiContext).health.take()
    status = "unavailable" if not health.can_read else "ok" if health.is_ok else "degraded"
    return jsonify(status=status, checks=health.checks), 200 if health.can_read else 503


@bp.get("/metrics")
def show_metrics() -> Response:
    """Prometheus metrics of web and workers on this machine, and of the queues."""
    require("server")
    body, content_type = render_metrics(get_context(ObserveContext))
    return Response(body, content_type=content_type)
