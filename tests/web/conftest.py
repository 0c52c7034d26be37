"""Web tiers for a test, which are closed when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from faketelegram import FakeTelegram
from tests.support.web_parts import MakeApp
from warmer.settings import load_settings
from web import close_app, create_app


@pytest.fixture
def make_app() -> Iterator[MakeApp]:
    """Makes web tiers, with settings that differ from the environment's and with clocks of the test."""
    with ExitStack() as opened:

        def make(
            *,
            clock: Callable[[], float] = time.monotonic,
            wall_clock: Callable[[], float] = time.time,
            **overrides: Any,
        ) -> Flask:
            app = create_app(load_settings(**overrides), clock=clock, wall_clock=wall_clock)
            opened.callback(close_app, app)
            return app

        yield make


@pytest.fixture
def app(redis: Redis, telegram: FakeTelegram, make_app: MakeApp) -> Flask:
    """The web tier, without a worker."""
    return make_app()
