"""A worker's parts with a hostile Telegram, in an environment whose proxies lead elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.support.adversary import GOOD, Host, Say, Try, run_task
from tests.support.servers import Pieces
from warmer.wiring import WorkerContext, close_worker_context, get_worker_context


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """The server that every attack points to, including the environment's proxies; no request may reach it."""
    with Host() as host:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, host.url)
            monkeypatch.setenv(name.lower(), host.url)
        yield host
        assert host.connections == 0


@pytest.fixture
def telegram_host(elsewhere: Host, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """The configured host, which answers correctly until a test sets another answer."""
    with Host() as host:
        host.answer = GOOD.__getitem__
        monkeypatch.setenv("TELEGRAM_API_URL", host.url)
        close_worker_context()
        yield host
        close_worker_context()


@pytest.fixture
def hostile_context(telegram_host: Host) -> WorkerContext:
    """The worker context of the tasks."""
    return get_worker_context()


@pytest.fixture
def say(telegram_host: Host) -> Say:
    """Set the host's answer to one method."""

    def tell(asked: str, pieces: Pieces) -> None:
        telegram_host.answer = lambda method: pieces if method == asked else GOOD[method]

    return tell


@pytest.fixture
def attempt(say: Say, redis: Redis) -> Try:
    """Set the host's answer and run a task that calls the method, in a new worker without stored data."""

    def run(method: str, pieces: Pieces) -> str:
        redis.flushall()
        close_worker_context()
        say(method, pieces)
        return run_task(method)

    return run
