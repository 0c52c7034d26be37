"""Web apps for a test, closed when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from redis.retry import Retry

from faketelegram import FakeTelegram
from tests.support.clock import Clock
from tests.support.running import BROWSER_ACCEPT
from tests.support.web_parts import MakeApp
from warmer.celery import app as celery
from warmer.redis_client.clients import Patience
from warmer.settings import load_settings
from web import close_app, create_app
from web.wiring import get_web_context


def wait_a_minute(_connect: float, _read: float, _pool: float, retry: Retry) -> Patience:
    """Takes the place of `Patience`, for a client of a Redis that a busy machine makes slow."""
    return Patience(60, 60, 60, retry)


class BrowserClient(FlaskClient):
    """Names the formats of a browser, unless a request has an Accept header of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.environ_base["HTTP_ACCEPT"] = BROWSER_ACCEPT


@contextmanager
def _celery_restored() -> Iterator[None]:
    """A web app gives its time limits to Celery, which all tests of this process share."""
    conf: Any = celery.conf
    changed: dict[str, Any] = conf.maps[0]
    before = dict(changed)
    yield
    for name in changed.keys() - before.keys():
        del changed[name]
    changed.update(before)
    _forget_pool()


def _forget_pool() -> None:
    """Celery keeps the pool of an earlier app in this process, with its time limits. Each app closes its own."""
    celery._pool = celery.amqp._producer_pool = None  # type: ignore[attr-defined]  # private: in no stub


@pytest.fixture
def make_app() -> Iterator[MakeApp]:
    """Makes web apps with other settings than the environment's and with the test's clocks.

    On a busy machine the shared Redis may answer later than a request waits. Only an app with its own Redis, which a
    test stops, has the timeouts of production, unless `patient` says otherwise.
    """
    made: list[Flask] = []
    with _celery_restored(), ExitStack() as opened:

        def make(
            *,
            patient: bool | None = None,
            clock: Callable[[], float] = time.monotonic,
            wall_clock: Callable[[], float] = time.time,
            **overrides: Any,
        ) -> Flask:
            for earlier in made:
                get_web_context(earlier).photos.publisher.close()  # before the time limits change
            is_patient = "redis_url" not in overrides if patient is None else patient
            with pytest.MonkeyPatch.context() as patch:
                if is_patient:
                    patch.setattr("warmer.redis_client.clients.Patience", wait_a_minute)
                    patch.setattr("web.wiring.PUBLISH_SECONDS", 60.0)
                app = create_app(load_settings(**overrides), clock=clock, wall_clock=wall_clock)
            _forget_pool()
            made.append(app)
            app.test_client_class = BrowserClient
            if is_patient:
                get_web_context(app).breaker.clock = Clock()
                get_web_context(app).photos.publisher.enqueued_ms = 600_000  # longer than any test
            opened.callback(close_app, app)
            return app

        yield make


def make_patient_app(make_app: MakeApp) -> Flask:
    """Returns an app whose requests wait longer for a picture than anything takes in a test."""
    app = make_app(photo_wait=10)
    get_web_context(app).photos.waiting.wait_seconds = 60.0
    return app


@pytest.fixture
def app(redis: Redis, telegram: FakeTelegram, make_app: MakeApp) -> Flask:
    """The web tier, without a worker. Requests wait for as long as a busy machine takes."""
    return make_patient_app(make_app)
