"""One log line per request, with its id. The access log writes the lines of served pictures in batches."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, g, request

from warmer.request_id import HEADER, get_request_id
from web.observe.access_log import ROUTES
from web.signals import connect_own, photo_not_found, photo_not_served

QUIET = ("health.is_alive", "health.is_ready", "health.show_metrics", "static")  # polled by machines
log = logging.getLogger(__name__)


@connect_own(photo_not_found)
def log_not_found(
    _app: Flask, *, subject: str, kind: str, method: str, seconds: float, request_id: str, **_: Any
) -> None:
    """No photo."""
    fields = _to_fields(method, ROUTES[kind], 404, seconds, request_id)
    log.info("⚠️ Photo not found: %s...", subject[:20], extra={"subject": subject, **fields})


@connect_own(photo_not_served)
def log_not_served(
    _app: Flask, *, kind: str, status: int, method: str, seconds: float, request_id: str, **_: Any
) -> None:
    """Any other answer of the photo routes, except a 404, which has its own line."""
    if status != 404:
        _write(logging.INFO, _to_fields(method, ROUTES[kind], status, seconds, request_id))


def init_app(app: Flask, clock: Callable[[], float]) -> None:
    """Give every answer of Flask's routes the id of its request, and log it. `clock` returns seconds."""

    @app.after_request
    def log_answer(response: Response) -> Response:
        response.headers[HEADER] = request_id = get_request_id()
        level = logging.DEBUG if request.endpoint in QUIET else logging.INFO
        route = request.url_rule.rule if request.url_rule else "none"  # an unknown path may contain anything
        seconds = clock() - g.started
        _write(level, _to_fields(request.method, route, response.status_code, seconds, request_id))
        return response


def _write(level: int, fields: dict[str, Any]) -> None:
    log.log(level, "%(method)s %(route)s %(status)d in %(milliseconds).0fms", fields, extra=fields)


def _to_fields(method: str, route: str, status: int, seconds: float, request_id: str) -> dict[str, Any]:
    """The fields of a JSON line."""
    return {
        "request_id": request_id,
        "method": method[:16],  # the client may send anything
        "route": route,
        "status": status,
        "milliseconds": round(seconds * 1000, 1),
    }
