"""Clients of Redis, each with the patience its process can afford."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from warmer.connect import connect_listener, connect_web, connect_worker
from warmer.settings import Settings


@pytest.fixture
def silent(settings: Settings) -> Iterator[Settings]:
    """A Redis that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{server.getsockname()[1]}/0"})


def measure(call: Callable[[], object], expected: type[RedisError]) -> float:
    """How long the call takes to fail."""
    started = time.monotonic()
    with pytest.raises(expected):
        call()
    return time.monotonic() - started


@pytest.mark.parametrize("connect", [lambda s: connect_web(s, 2), connect_worker, connect_listener])
def test_each_client_speaks_to_redis(settings: Settings, connect: Callable[[Settings], Redis]) -> None:
    with connect(settings) as client:
        assert client.ping()


def test_a_request_waits_a_third_of_a_second_for_an_answer_and_does_not_try_again(silent: Settings) -> None:
    with connect_web(silent, 2) as client:
        assert measure(client.ping, RedisTimeoutError) < 0.3 + 0.2


def test_a_request_waits_a_tenth_of_a_second_for_a_connection(settings: Settings, redis: Redis) -> None:
    with connect_web(settings, 2) as client, ExitStack() as busy:
        for _ in range(2):
            channel = busy.enter_context(client.pubsub())
            channel.subscribe("something")
        assert measure(client.ping, RedisConnectionError) == pytest.approx(0.1, abs=0.08)


def test_a_request_is_told_at_once_that_nobody_listens(settings: Settings) -> None:
    nobody = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    with connect_web(nobody, 2) as client:
        assert measure(client.ping, RedisConnectionError) < 0.25


def test_a_cluster_that_is_silent_is_asked_by_one_request_and_not_by_those_in_line(silent: Settings) -> None:
    place = silent.redis_url.removeprefix("redis://").removesuffix("/0")
    client = connect_web(silent.model_copy(update={"redis_url": f"redis+cluster://{place}"}), 2)
    with ThreadPoolExecutor(20) as pool:
        waits = list(pool.map(lambda _: measure(lambda: client.ping(), RedisConnectionError), range(20)))
    assert max(waits) < 0.3 + 0.4


def test_a_worker_waits_a_short_outage_out(settings: Settings) -> None:
    nobody = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    with connect_worker(nobody) as client:
        assert 0.2 < measure(client.ping, RedisConnectionError) < 5


def test_a_listener_is_not_cut_in_the_silence(settings: Settings, redis: Redis) -> None:
    with connect_listener(settings) as client, client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe("something")
        assert channel.get_message(timeout=0.3) is None
        redis.publish("something", "said")
        assert channel.get_message(timeout=1) or channel.get_message(timeout=1)
