"""The web tier: from a request to an answer, at once. It knows no Telegram calls and no Pillow.

request → photos/app, in front of Flask ── photos/cache, else photos/lookup ─→ 200 / 304 / 404
             ├ a list in memory: api/fast_list
             └ nothing stored: photos/lookup requests the picture, and the client waits until "done":
                in a thread (photos/waiting), or under gunicorn in a flight (photos/flights)
api/ registers and lists; receivers hear its signals and warm ahead; pages/ are for people; observe/ only listens.
server/ is gunicorn's worker, which answers requests for pictures and lists in its loop.
"""

from __future__ import annotations

import atexit
import re
import time
from collections.abc import Callable, Sequence

from flask import Flask
from flask_cors import CORS

from warmer.request_id import HEADER as REQUEST_ID
from warmer.settings import Settings, load_settings_or_exit
from web import compression, problems, receivers, redis_breaker
from web.api import fast_list, health, openapi, partners
from web.api.fast_list import FastList
from web.api.partners import PartnerName
from web.context import NAME
from web.observe import metrics, request_log
from web.pages import comparison, docs, home, ops, static_files
from web.pages.loopback_only import LoopbackHostOnly
from web.photos.app import PhotoLayer
from web.wiring import get_web_context, open_context

__all__ = ["close_app", "create_app", "receivers"]  # receivers listen as soon as they are imported


def create_app(
    settings: Settings | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    wall_clock: Callable[[], float] = time.time,
) -> Flask:
    """Return the Flask app. It opens no connection before the first request, so that gunicorn can fork."""
    settings = settings or load_settings_or_exit()
    app = Flask(__name__)
    # A body without a declared length is cut there: one byte more shows that it was too long.
    app.config["MAX_CONTENT_LENGTH"] = problems.MAX_BODY_BYTES + 1
    app.json.ensure_ascii = False  # type: ignore[attr-defined]  # of Flask's default provider
    app.url_map.merge_slashes = False  # a path in another spelling is unknown: no redirect
    app.url_map.converters["partner"] = PartnerName
    context = open_context(settings, clock=clock, wall_clock=wall_clock)
    app.extensions[NAME] = context.list_by_class()
    fast_list.init_app(app)  # first, so that it sees the final answer
    request_log.init_app(app, clock)
    metrics.init_app(app, clock)
    redis_breaker.init_app(app, context.breaker, context.redis)
    problems.init_app(app)
    compression.init_app(app)
    static_files.init_app(app)
    for module in (partners, health, ops, docs, home, openapi):
        app.register_blueprint(module.bp)
    _allow_origins(app, settings.cors_origins)
    find_list = FastList(app, context.api, context.photos.request_ids, context.observe.access_log).answer
    layer = PhotoLayer(app.wsgi_app, app, context.photos, find_list)
    app.wsgi_app = layer  # type: ignore[method-assign]  # as Flask's documentation does
    if settings.demo:
        app.register_blueprint(comparison.bp)
        app.wsgi_app = LoopbackHostOnly(app.wsgi_app)  # type: ignore[method-assign]  # as Flask's documentation does
    atexit.register(context.close)  # for servers without a hook for it
    return app


def _allow_origins(app: Flask, origins: Sequence[str]) -> None:
    """Let pages of these origins call the API."""
    if origins:
        # One pattern: flask-cors takes a text for a pattern if it holds a bracket, as an IPv6 address does.
        exactly = re.compile(rf"(?:{'|'.join(map(re.escape, origins))})\Z")
        CORS(
            app,
            resources=r"/api/.*",
            origins=exactly,
            send_wildcard=True,
            allow_headers=["Authorization", "Content-Type", REQUEST_ID],
            expose_headers=[REQUEST_ID, "Retry-After", "X-Response-Time"],
            always_send=False,  # without an Origin the answer would name all of them
        )


def close_app(app: Flask) -> None:
    """Close what the app has opened: its threads, its subscription and its connections. Closing twice is harmless."""
    context = get_web_context(app)
    atexit.unregister(context.close)
    context.close()
