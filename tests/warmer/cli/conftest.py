"""Fixtures for the command: its folder, and a worker."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.cli_parts import send_heartbeat
from warmer.celery import app
from warmer.redis_client.clients import connect_listener
from warmer.wiring import WorkerContext


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the `.env` of the clone. Load Celery's settings before a test changes the variables that they come from."""
    assert app.conf.broker_url
    monkeypatch.setattr("warmer.cli.common.IS_CLONE", False)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command tries an unreachable Redis only once, but has time for one that answers late."""
    monkeypatch.setattr("warmer.cli.common.connect_worker", connect_listener)


@pytest.fixture
def live_worker(worker: Any, context: WorkerContext) -> Any:
    """A worker with a heartbeat."""
    send_heartbeat(context)
    return worker
