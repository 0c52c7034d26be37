"""Fixtures with real parts for every test: our own Redis server, and the fake Telegram over HTTP."""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from celery.contrib.testing.worker import start_worker
from flask import Flask
from flask.testing import FlaskClient
from kombu import pools
from PIL import Image
from redis import Redis

from faketelegram import TEST_TOKEN, FakeTelegram
from tests.support.clock import Clock
from tests.support.leaks import read_values
from tests.support.redis_kinds import KIND, connect_broker, run_kind, subscribed
from tests.support.running import PATIENT, START_SECONDS, Service, run_service
from tests.support.waiting import wait_until
from warmer.keys import Keys
from warmer.redis_client.clients import connect_worker
from warmer.settings import Settings, load_settings
from warmer.wiring import WorkerContext, close_worker_context, open_worker_context

__all__ = ["wait_until"]
pytest_plugins = [
    f"tests.support.{name}" for name in ("apps", "figures", "leftovers", "remaining", "servers", "receiver")
]

API_KEY = "an-api-key-for-tests"
SIGNING_KEY = "a-signing-key-of-at-least-32-bytes-for-tests"


_ids = count(5_000_000)


def next_id() -> int:
    """Returns an id that no other test uses in the fake Telegram's world."""
    return next(_ids)


def make_picture(
    width: int = 64, height: int = 64, color: Any = "teal", fmt: str = "JPEG", mode: str = "RGB", **options: Any
) -> bytes:
    """Returns an image file of one colour."""
    out = BytesIO()
    Image.new(mode, (width, height), color).save(out, fmt, **options)
    return out.getvalue()


def list_traces(redis: Redis, *names: str | int) -> list[str]:
    """List the keys that contain one of these in their name or value."""
    wanted = [str(name).encode() for name in names]
    told = {key.decode(): key + b" " + value for key, value in read_values(redis).items()}
    return [key for key, text in told.items() if any(name in text for name in wanted)]


@contextmanager
def listening(redis: Redis, *channels: str) -> Iterator[Callable[[], Any]]:
    """Yields a function that waits for the next message on the channels and returns it."""
    with subscribed(redis, *channels) as subscription:
        yield lambda: wait_until(lambda: subscription.get_message(timeout=1))["data"]


@pytest.fixture(scope="session", autouse=True)
def _restore_terminal_signals() -> Iterator[None]:
    """A background shell job ignores Ctrl-C and SIGHUP, and so would every process that the tests start."""
    usual = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    }
    yield
    for number, handler in usual.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def redis_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The settings of this run's Redis, of the kind that KIND names."""
    with run_kind(KIND, tmp_path_factory.mktemp("redis")) as settings:
        yield settings


@pytest.fixture(scope="session")
def redis_url(redis_settings: dict[str, str]) -> str:
    return redis_settings["REDIS_URL"]


@pytest.fixture(scope="session")
def telegram_server() -> Iterator[FakeTelegram]:
    with FakeTelegram() as fake:
        yield fake


@pytest.fixture(scope="session", autouse=True)
def environment(
    redis_settings: dict[str, str], telegram_server: FakeTelegram, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The environment of a deployment, in a folder without a `.env`."""
    folder = tmp_path_factory.mktemp("cwd")
    with pytest.MonkeyPatch.context() as patch:
        for name in Settings.model_fields:
            patch.delenv(name.upper(), raising=False)
        patch.chdir(folder)
        # Deletions wait until each web process has heard of them, on a busy machine, too.
        patch.setattr("warmer.flow.forget.WAIT_SECONDS", 60.0)
        patch.setenv("TELEGRAM_BOT_TOKEN", TEST_TOKEN)
        patch.setenv("TELEGRAM_API_URL", telegram_server.url)
        for name, value in redis_settings.items():
            patch.setenv(name, value)
        patch.setenv("API_KEYS", API_KEY)
        patch.setenv("URL_SIGNING_KEYS", SIGNING_KEY)
        patch.setenv("DATA_DIR", str(folder / "data"))
        patch.setenv("TELEGRAM_RATE", "1000")
        os.makedirs(folder / "data")  # noqa: PTH103 - the folder that scripts/run makes
        yield folder


@pytest.fixture(autouse=True)
def _close_broker_connections() -> Iterator[None]:
    """kombu keeps them in pools of the process. Another test that counts connections would open none."""
    yield
    for pool in list(pools.connections.values()):
        pool.resize(pool.limit, reset=True, ignore_errors=True)


@pytest.fixture
def settings() -> Settings:
    return load_settings()


@pytest.fixture
def redis(settings: Settings) -> Iterator[Redis]:
    """A client of an empty Redis."""
    from warmer.celery import app as celery

    # Celery fixes its sending configuration at the first message, and web and workers configure it differently.
    vars(celery.amqp).pop("send_task_message", None)
    with connect_worker(settings) as client:
        for one in {client, connect_broker(settings)}:
            one.flushall()
        yield client


@pytest.fixture
def keys(settings: Settings) -> Keys:
    return Keys(settings.bot_id)


@pytest.fixture
def telegram(telegram_server: FakeTelegram) -> FakeTelegram:
    """The fake Telegram without faults or counts. Its world keeps the people of other tests: use your own ids."""
    telegram_server.latency = 0.0
    telegram_server.connect_latency = 0.0
    telegram_server.reset()
    return telegram_server


@pytest.fixture
def context(settings: Settings, redis: Redis, telegram: FakeTelegram) -> Iterator[WorkerContext]:
    """A worker's parts, without the queue."""
    with closing(open_worker_context(settings, redis)) as context:
        yield context


@pytest.fixture
def clock() -> Clock:
    """A clock that the test moves."""
    return Clock()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def worker(redis: Redis, telegram: FakeTelegram) -> Iterator[Any]:
    """A Celery worker with its thread pool, in a thread of this process, on the real queue."""
    import warmer.worker.tasks  # noqa: F401 - registers the tasks
    from warmer.celery import app as celery

    level, handlers = logging.root.level, list(logging.root.handlers)
    with start_worker(celery, pool="threads", concurrency=8, perform_ping_check=False, shutdown_timeout=60) as running:
        yield running
    pool: Any = running.pool
    pool.executor.shutdown()  # Celery stops the pool's threads only when the process ends
    close_worker_context()  # a task that was still running has opened it again
    logging.root.setLevel(level)  # a worker sets up the logging of its process, and freezes what it has loaded
    logging.root.handlers[:] = handlers
    gc.unfreeze()


@pytest.fixture
def as_server() -> dict[str, str]:
    """The headers of a backend."""
    return {"Authorization": f"Bearer {API_KEY}"}


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The whole service as in a deployment, with its own fake Telegram at `.telegram`."""
    folder = tmp_path_factory.mktemp("service")
    with FakeTelegram(latency=0.05) as fake:
        settings = {
            "TELEGRAM_BOT_TOKEN": TEST_TOKEN,
            "TELEGRAM_API_URL": fake.url,
            "API_KEYS": API_KEY,
            "URL_SIGNING_KEYS": SIGNING_KEY,
            **PATIENT,
        }
        with run_service(folder, **settings) as running:
            # A starting worker would take CPU time from the tests.
            wait_until(lambda: "avatar_workers 2.0" in running.ask("GET", "/metrics").text, START_SECONDS)
            yield replace(running, telegram=fake)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The whole service as `scripts/run` starts it with no setting."""
    with run_service(tmp_path_factory.mktemp("demo"), **PATIENT) as running:
        yield running
