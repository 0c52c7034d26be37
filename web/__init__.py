"""The web tier: from a request to an answer, at once. It knows no Telegram calls and no Pillow.

request → photos.py ── store.get ─→ 200 / 304 / 404
             └ nothing stored: signal photo_missed → receivers.py → the queue; waiting.py until "done"
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from flask import Flask
from flask_cors import CORS
from redis import Redis

from warmer.celery import app as celery
from warmer.connect import connect_listener, connect_web
from warmer.due import Due
from warmer.forget import Forget
from warmer.keys import Keys
from warmer.partners import PartnerDirectory
from warmer.profiles import Profiles
from warmer.publish import Publisher
from warmer.settings import Settings, load_settings_or_exit
from warmer.store import PhotoStore
from web import health, metrics, pages, partners, photos, problems, receivers
from web.breaker import BreakablePool, Breaker
from web.front import NAME, Front
from web.stats import MinuteStats
from web.urls import PhotoUrls
from web.waiting import THREADS, Waiting

# A broker that accepts and never answers blocks a publisher without bound by default.
PUBLISHING = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5, "max_retries": 0}

__all__ = ["create_app", "receivers"]  # receivers listen as soon as they are imported


def create_app(settings: Settings | None = None) -> Flask:
    """The Flask app; opens no connection before the first request, so that gunicorn can fork."""
    settings = settings or load_settings_or_exit()
    app = Flask(__name__)
    # A body that tells no length is cut there: one byte more shows that it was too long.
    app.config["MAX_CONTENT_LENGTH"] = problems.MAX_BODY_BYTES + 1
    app.json.ensure_ascii = False  # type: ignore[attr-defined]  # of Flask's default provider
    app.url_map.merge_slashes = False  # a path of another spelling is unknown, and no redirect
    app.extensions[NAME] = _open_front(settings)
    metrics.init_app(app)
    problems.init_app(app)
    for module in (photos, partners, health, pages):
        app.register_blueprint(module.bp)
    CORS(app, resources=_cors_rules(settings), send_wildcard=True)
    return app


def _open_front(settings: Settings) -> Front:
    keys = Keys(settings.bot_id)
    breaker = Breaker()
    redis: Redis = connect_web(settings, THREADS, partial(BreakablePool.from_url, breaker=breaker))
    store = PhotoStore(redis, keys, settings.photo_sizes, settings.photo_formats, settings.photo_ttl)
    directory = PartnerDirectory(redis, keys, settings.rewarm_partners)
    profiles = Profiles(redis, keys, settings.photo_ttl, settings.profile_check_every)
    due = Due(redis, keys)
    celery.conf.update(
        broker_transport_options=celery.conf.broker_transport_options | PUBLISHING,
        task_publish_retry=False,
        broker_pool_limit=THREADS,
        broker_pool_acquire_timeout=0.25,
    )
    return Front(
        settings=settings,
        redis=redis,
        breaker=breaker,
        keys=keys,
        store=store,
        partners=directory,
        profiles=profiles,
        forget=Forget(directory, profiles, store, due),
        publisher=Publisher(celery, redis, keys, due, asked_seconds=settings.photo_wait + 3, hot_max=settings.hot_max),
        urls=PhotoUrls(settings.url_signing_keys, settings.public_url, settings.photo_sizes),
        waiting=Waiting(lambda: connect_listener(settings), keys, settings.photo_wait),
        stats=MinuteStats(redis, keys),
    )


def _cors_rules(settings: Settings) -> dict[str | re.Pattern[str], dict[str, Any]]:
    photos_rule: dict[str, Any] = {"origins": "*", "expose_headers": ["Retry-After"], "methods": ["GET", "HEAD"]}
    rules: dict[str | re.Pattern[str], dict[str, Any]] = {r"/api/photos/(file|user)/.*": photos_rule}
    if settings.cors_origins:
        rules[r"/api/.*"] = {
            "origins": list(settings.cors_origins),
            "allow_headers": ["Authorization", "Content-Type"],
            "always_send": False,  # without an Origin it would name all of them
        }
    return rules
