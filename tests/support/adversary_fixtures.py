"""A worker's parts at a Telegram that means harm, in an environment whose proxies lead elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.support.adversary import GOOD, Host, Pieces, Say, Try, run_task, serve
from warmer.wiring import WorkerContext, close_worker_context, get_worker_context


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """Where everything is meant to lead, proxies of the environment too; no request may have come in the end."""
    with serve() as host:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, host.url)
            monkeypatch.setenv(name.lower(), host.url)
        yield host
        assert host.connections == 0


@pytest.fixture
def telegram_host(elsewhere: Host, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """The configured host, which answers well where it is not told otherwise."""
    with serve() as host:
        host.answer = GOOD.__getitem__
        monkeypatch.setenv("TELEGRAM_API_URL", host.url)
        close_worker_context()
        yield host
        close_worker_context()


@pytest.fixture
def hostile_context(telegram_host: Host) -> WorkerContext:
    """The parts that the tasks work with."""
    return get_worker_context()


@pytest.fixture
def say(telegram_host: Host) -> Say:
    """Tell the host what it answers to one method."""

    def tell(asked: str, pieces: Pieces) -> None:
        telegram_host.answer = lambda method: pieces if method == asked else GOOD[method]

    return tell


@pytest.fixture
def attempt(say: Say, redis: Redis) -> Try:
    """Tell the host that, and run the task that comes to the method, as the first thing of a new worker."""

    def run(method: str, pieces: Pieces) -> str:
        redis.flushall()
        close_worker_context()
        say(method, pieces)
        return run_task(method)

    return run
