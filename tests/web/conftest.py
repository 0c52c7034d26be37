"""The app that the web tests ask."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.support.web_parts import MakeApp


@pytest.fixture
def app(redis: object, telegram: object, make_app: MakeApp) -> Flask:
    """The web tier without a worker and without waiting."""
    return make_app(photo_wait=0)
