"""The web tier of a demo."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.web_parts import MakeApp

PAGE_KEY = "the-key-of-a-page-for-one-start-only"


@pytest.fixture
def demo_app(redis: object, telegram: object, make_app: MakeApp) -> Flask:
    return make_app(demo=True, host="127.0.0.1", page_key=PAGE_KEY, photo_wait=0)


def sign_in(client: FlaskClient) -> FlaskClient:
    """Open the printed URL, so that the client has the cookie of this start."""
    assert client.get(f"/?key={PAGE_KEY}").status_code == 303
    return client
