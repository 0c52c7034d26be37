"""What one web process works with, made once by `create_app`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from flask import Flask, current_app
from redis import Redis

from warmer.forget import Forget
from warmer.keys import Keys
from warmer.partners import PartnerDirectory
from warmer.profiles import Profiles
from warmer.publish import Publisher
from warmer.settings import Settings
from warmer.stats import MinuteStats
from warmer.store import PhotoStore
from web.breaker import Breaker
from web.journal import Journal
from web.listener import Listener
from web.request_ids import RequestIds
from web.shelf import Shelf
from web.throttle import Throttle
from web.urls import PhotoUrls
from web.waiting import Waiting
from web.wishes import Wishes

NAME = "avatar-warmer"


@dataclass(frozen=True, slots=True)
class Front:
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
    wishes: Wishes
    shelf: Shelf
    waiting: Waiting
    listener: Listener
    stats: MinuteStats
    throttle: Throttle
    journal: Journal
    request_ids: RequestIds
    clock: Callable[[], float]  # seconds, from no instant in particular
    wall_clock: Callable[[], float]  # Unix time, in seconds

    def close(self) -> None:
        """End the threads, write the last lines and figures, and close the connections to Redis.

        In this order: the journal counts into the figures, and they go to Redis.
        """
        self.listener.close()
        self.journal.close()
        self.stats.close()
        self.redis.close()


def get_app() -> Flask:
    """The app that answers the current request: the sender of every signal, which the proxy is not."""
    return cast(Flask, current_app._get_current_object())  # type: ignore[attr-defined]  # werkzeug's LocalProxy


def get_front(app: Flask | None = None) -> Front:
    """The parts of this app, or of the one that answers the current request."""
    return cast(Front, (app or current_app).extensions[NAME])
