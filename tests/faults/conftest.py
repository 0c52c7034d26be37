"""The order of the fault tests: by module, the longest first, so that no long module runs alone at the end.

Also a worker's parts with a hostile Telegram, in an environment whose proxies lead elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from faketelegram import TEST_TOKEN
from tests.support.adversary import GOOD, Host, Say, Try, run_task
from tests.support.faults import Stage, run_stage
from tests.support.servers import Pieces
from warmer.keys import QUEUES, Keys
from warmer.wiring import WorkerContext, close_worker_context, get_worker_context

KEYS = Keys(TEST_TOKEN.partition(":")[0])  # of the bot of the tests


def has_no_message(redis: Redis) -> bool:
    """Returns True if no queue holds a message and no worker has an unacknowledged one."""
    return not redis.exists(f"{KEYS.queue_prefix}unacked", *(KEYS.queue_prefix + name for name in QUEUES))


LONGEST_FIRST = (
    "test_crashes",  # three leases of 30 s, one after another
    "test_sentinel",
    "test_canary",
    "test_webhook",
    "test_purge",
    "test_hosts",
    "test_redis",
    "test_rabbit",
    "test_cluster",
    "test_flood",
    "test_clocks",
    "test_checks",
    "test_telegram",
    "test_layouts",
    "test_releases",
    "test_shutdown",
)


def pytest_configure(config: pytest.Config) -> None:
    """Distribute by file, since a module shares a service, and keep our order, in which the quick tests come last."""
    if config.getoption("dist", "no") == "load":
        config.option.dist = "loadfile"
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the fault tests by LONGEST_FIRST, after the tests of other folders."""
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}

    def place_of(item: pytest.Item) -> int:
        is_here = item.path.is_relative_to(Path(__file__).parent)
        return places.get(item.path.stem, len(places)) if is_here else -1

    items.sort(key=place_of)


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A whole service with the SETTINGS of the module, if it has any."""
    with run_stage(tmp_path_factory.mktemp("stage"), **getattr(request.module, "SETTINGS", {})) as stage:
        yield stage


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
