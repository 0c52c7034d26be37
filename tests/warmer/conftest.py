"""A picture to warm."""

from __future__ import annotations

import pytest

from faketelegram import FakeTelegram
from tests.conftest import make_picture


@pytest.fixture
def file_id(telegram: FakeTelegram) -> str:
    """A new picture in the fake Telegram."""
    return telegram.world.add_file(make_picture(200, 100))
