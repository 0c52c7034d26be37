"""Where the tests of the command are, and a worker for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.cli_parts import say_alive
from warmer.wiring import Workshop


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `.env` of the clone is not the tests'."""
    monkeypatch.setattr("warmer.cli.common.PROJECT", Path("/nonexistent"))


@pytest.fixture
def live_worker(worker: Any, shop: Workshop) -> Any:
    """A worker that says that it is there."""
    say_alive(shop)
    return worker
