"""Real parts for every test: a Redis server of our own, and the fake Telegram over HTTP."""

from __future__ import annotations

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
from PIL import Image
from redis import Redis

from faketelegram import TEST_TOKEN, FakeTelegram
from tests.support.redis_kinds import KIND, connect_broker, run_kind, subscribed
from tests.support.running import Service, run_service
from tests.support.waiting import wait_until
from warmer.keys import Keys
from warmer.redis_client.clients import connect_worker
from warmer.settings import Settings, load_settings
from warmer.wiring import WorkerContext, close_worker_context, open_worker_context

__all__ = ["wait_until"]
pytest_plugins = ["tests.support.apps", "tests.support.figures", "tests.support.leftovers", "tests.support.remaining"]

API_KEY = "test-api-key"
SIGNING_KEY = "a-signing-key-of-at-least-32-bytes-for-tests"


_ids = count(5_000_000)


def next_id() -> int:
    """An id for the fake Telegram's world that no other test has."""
    return next(_ids)


def make_picture(
    width: int = 64, height: int = 64, color: Any = "teal", fmt: str = "JPEG", mode: str = "RGB", **options: Any
) -> bytes:
    """A picture of one colour, as a file."""
    out = BytesIO()
    Image.new(mode, (width, height), color).save(out, fmt, **options)
    return out.getvalue()


def list_traces(redis: Redis, *names: str | int) -> list[str]:
    """Keys, tombstones aside, that hold one of these in their name or in their value."""
    reads: dict[Any, Callable[[Any], Any]] = {
        b"string": redis.get,
        b"set": redis.smembers,
        b"hash": redis.hgetall,
        b"zset": lambda key: redis.zrange(key, 0, -1),
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"none": lambda _: None,  # it has just expired
    }
    keys = [key for key in redis.scan_iter("*") if not key.endswith(b":forgotten")]
    told = {key.decode(): f"{key!r} {reads[redis.type(key)](key)!r}" for key in keys}
    return [key for key, text in told.items() if any(str(name) in text for name in names)]


@contextmanager
def listening(redis: Redis, *channels: str) -> Iterator[Callable[[], Any]]:
    """Gives the next thing that is said on the channels, None after a second of silence."""
    with subscribed(redis, *channels) as subscription:
        yield lambda: (message := subscription.get_message(timeout=1)) and message["data"]


@pytest.fixture(scope="session", autouse=True)
def _heeding_the_terminal() -> Iterator[None]:
    """A run of the tests in a shell's background ignores Ctrl-C, or a closed terminal; so would all that it starts."""
    usual = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    }
    yield
    for number, handler in usual.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def redis_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Redis for this run of the tests, of the kind that is asked for."""
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


@pytest.fixture
def settings() -> Settings:
    return load_settings()


@pytest.fixture
def redis(settings: Settings) -> Iterator[Redis]:
    """A client of an empty Redis."""
    from warmer.celery import app as celery

    # From its first message on Celery sends as it was configured then, and web and workers differ in that.
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
    """The fake Telegram with no faults and no counts; the world keeps what other tests added: use ids of your own."""
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
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def worker(redis: Redis, telegram: FakeTelegram) -> Iterator[Any]:
    """A Celery worker with its thread pool, in a thread of this process, on the real queue."""
    import warmer.worker.tasks  # noqa: F401 - registers the tasks
    from warmer.celery import app as celery

    with start_worker(celery, pool="threads", concurrency=8, perform_ping_check=False, shutdown_timeout=60) as running:
        yield running
    pool: Any = running.pool
    pool.executor.shutdown()  # Celery leaves the pool's threads to the end of the process
    close_worker_context()  # a task that was still under way has opened it again


@pytest.fixture
def as_server() -> dict[str, str]:
    """The headers of a backend."""
    return {"Authorization": f"Bearer {API_KEY}"}


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The whole service as a deployment runs it, at a fake Telegram of its own; `telegram` is at `.telegram`."""
    folder = tmp_path_factory.mktemp("service")
    with FakeTelegram(latency=0.05) as fake:
        settings = {
            "TELEGRAM_BOT_TOKEN": TEST_TOKEN,
            "TELEGRAM_API_URL": fake.url,
            "API_KEYS": API_KEY,
            "URL_SIGNING_KEYS": SIGNING_KEY,
        }
        with run_service(folder, **settings) as running:
            # One that still starts would take the cores from the tests that look at times.
            wait_until(lambda: "avatar_workers 2.0" in running.call("GET", "/metrics").text, 30)
            yield replace(running, telegram=fake)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The whole service as `scripts/run` starts it without any setting."""
    with run_service(tmp_path_factory.mktemp("demo")) as running:
        yield running
