"""What one web process works with, made once by `create_app`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from flask import Flask, current_app
from redis import Redis

from warmer.broker.publish import Publisher
from warmer.flow.forget import Forget
from warmer.keys import Keys
from warmer.settings import Settings
from warmer.state.partners import PartnerDirectory
from warmer.state.photos import PhotoStore
from warmer.state.profiles import Profiles
from warmer.state.stats import MinuteStats
from web.api.rate_limit import RateLimiter
from web.observe.access_log import AccessLog
from web.observe.request_ids import RequestIds
from web.photos.cache import ResponseCache
from web.photos.listener import Listener
from web.photos.request import PhotoRequestParser
from web.photos.urls import PhotoUrls
from web.photos.waiting import Waiting
from web.redis_breaker import Breaker

NAME = "avatar-warmer"


@dataclass(frozen=True, slots=True)
class WebContext:
    """The parts of the web tier."""

    settings: Settings
    redis: Redis
    breaker: Breaker
    keys: Keys
    store: PhotoStore
    partners: PartnerDirectory
    profiles: Profiles
    forget: Forget
    publisher: Publisher
    urls: PhotoUrls
    request_parser: PhotoRequestParser
    cache: ResponseCache
    waiting: Waiting
    listener: Listener
    stats: MinuteStats
    rate_limiter: RateLimiter
    access_log: AccessLog
    request_ids: RequestIds
    clock: Callable[[], float]  # seconds, from no instant in particular
    wall_clock: Callable[[], float]  # Unix time, in seconds

    def close(self) -> None:
        """End the threads, write the last lines and figures, and close the connections to Redis.

        In this order: the journal counts into the figures, and they go to Redis.
        """
        self.listener.close()
        self.access_log.close()
        self.stats.close()
        self.redis.close()


def get_app() -> Flask:
    """The app that answers the current request: the sender of every signal, which the proxy is not."""
    return cast(Flask, current_app._get_current_object())  # type: ignore[attr-defined]  # werkzeug's LocalProxy


def get_context(app: Flask | None = None) -> WebContext:
    """The parts of this app, or of the one that answers the current request."""
    return cast(WebContext, (app or current_app).extensions[NAME])
