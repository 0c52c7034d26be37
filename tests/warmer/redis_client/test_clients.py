"""Redis clients, each with the timeouts of its process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from threading import Barrier
from typing import Any, cast
from urllib.parse import quote

import pytest
from redis import Redis, RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError

from tests.conftest import wait_until
from tests.support.clock import Clock
from tests.support.servers import Certificate, OneAnswer
from warmer.redis_client.clients import connect_listener, connect_web, connect_worker
from warmer.redis_client.cluster import AWAY_SECONDS, Cluster
from warmer.settings import Settings, load_settings


def list_waits(client: Redis) -> tuple[float, float, float, int]:
    """Returns the timeouts in seconds for connecting, an answer and a free connection, and the number of retries."""
    pool: Any = client.connection_pool
    options = pool.connection_kwargs
    retry = options["retry"]
    return options["socket_connect_timeout"], options["socket_timeout"], pool.timeout, retry.get_retries()


def succeeds(command: Callable[[], object]) -> bool:
    """Run it. Returns False if it fails: a busy machine may answer a web client too late."""
    try:
        command()
    except RedisError:
        return False
    return True


@pytest.mark.parametrize("connect", [lambda s: connect_web(s, 2), connect_worker, connect_listener])
def test_each_client_can_talk_to_redis(settings: Settings, connect: Callable[[Settings], Redis]) -> None:
    with connect(settings) as client:
        wait_until(lambda: succeeds(client.ping))


def test_a_web_client_waits_less_than_a_second_in_all_and_does_not_retry(settings: Settings) -> None:
    with connect_web(settings, 2) as client:
        assert list_waits(client) == (0.25, 0.3, 0.1, 0)


def test_a_worker_client_waits_through_a_short_outage(settings: Settings) -> None:
    with connect_worker(settings) as client:
        assert list_waits(client) == (2, 2, 5, 3)


def test_an_exhausted_connection_pool_is_an_error(settings: Settings, redis: Redis) -> None:
    with connect_web(settings, 2) as client, ExitStack() as busy:
        for _ in range(2):
            subscribe = partial(busy.enter_context(client.pubsub()).subscribe, "something")
            wait_until(partial(succeeds, subscribe))
        with pytest.raises(RedisConnectionError):
            client.ping()


def test_only_one_of_many_waiting_requests_tries_an_unreachable_cluster() -> None:
    asked, clock, in_line = [], Clock(), Barrier(20)

    def make() -> RedisCluster:
        asked.append(clock())
        raise RedisConnectionError("away")

    cluster = Cluster(make, "anchor", clock)

    def ask(_: int) -> bool:
        in_line.wait()
        with pytest.raises(RedisConnectionError):
            cluster.connect()
        return True

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(ask, range(20)))
    assert len(asked) == 1
    clock.advance(AWAY_SECONDS + 0.1)
    with pytest.raises(RedisConnectionError):
        cluster.connect()
    assert len(asked) == 2


@pytest.mark.parametrize("error", [AttributeError, KeyError, RuntimeError, TypeError, ValueError])
def test_a_change_of_the_cluster_during_a_command_is_a_lost_connection(error: type[Exception]) -> None:
    class Changing:
        def get(self, key: str) -> None:
            raise error(key)

    cluster = Cluster(lambda: cast(RedisCluster, Changing()), "anchor")
    with pytest.raises(RedisConnectionError, match=error.__name__):
        cluster.get("key")


def test_a_wrong_call_of_ours_is_not_taken_for_a_lost_connection() -> None:
    class Strict:
        def get(self, key: str) -> str:
            return key

        def evalsha(self, *_: object) -> None:
            raise NoScriptError

        def execute_command(self, *_: object) -> None:
            pass

        def close(self) -> None:
            pass

    with Cluster(lambda: cast(RedisCluster, Strict()), "anchor") as cluster:
        assert cluster.get("key") == "key"
        with pytest.raises(TypeError):
            cluster.get("key", "another", "and more")
        with pytest.raises(AttributeError):
            cluster.gte("key")
        with pytest.raises(KeyError):
            cluster.evalsha("of a script that was never registered", 0)


def test_an_error_inside_redis_py_is_logged_with_its_place(caplog: pytest.LogCaptureFixture) -> None:
    class Changing:
        def get(self, key: str) -> None:
            raise TypeError(key)

    with pytest.raises(RedisConnectionError):
        Cluster(lambda: cast(RedisCluster, Changing()), "anchor").get("a secret")
    (line,) = [record.getMessage() for record in caplog.records if "redis-py failed" in record.getMessage()]
    assert "TypeError in " in line
    assert "Changing.get" in line
    assert "a secret" not in line


def test_a_listener_survives_silence(settings: Settings, redis: Redis) -> None:
    with connect_listener(settings) as client, client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe("something")
        assert channel.get_message(timeout=0.3) is None  # as long as a request waits for an answer
        redis.publish("something", "said")
        assert wait_until(lambda: channel.get_message(timeout=0.1))


# TLS and the protocol


def list_heard(certificate: Certificate, scheme: str, options: str) -> list[bytes]:
    """What a server over TLS hears first from each kind of client."""
    with OneAnswer(b"-ERR no\r\n", certificate=certificate) as server:
        url = f"{scheme}://user:hunter2@127.0.0.1:{server.port}{options}"
        settings = load_settings(redis_url=url, celery_broker_url="redis://a")
        for connect in (partial(connect_web, connections=2), connect_worker):
            with connect(settings) as client, pytest.raises(RedisError):
                client.ping()
        assert server.connections >= 2
        return server.heard


@pytest.mark.parametrize("scheme", ["rediss", "rediss+cluster"])
def test_a_redis_with_a_certificate_that_is_not_trusted_hears_nothing(certificate: Certificate, scheme: str) -> None:
    assert list_heard(certificate, scheme, "") == []


@pytest.mark.parametrize("scheme", ["rediss", "rediss+cluster"])
@pytest.mark.parametrize("trust", ["ssl_cert_reqs=none", "ssl_ca_certs={file}"])
def test_the_url_says_whom_to_trust(certificate: Certificate, scheme: str, trust: str) -> None:
    assert list_heard(certificate, scheme, f"?{trust.format(file=quote(str(certificate.file)))}")


@pytest.mark.parametrize(("protocol", "first"), [("", b"AUTH"), ("&protocol=2", b"AUTH"), ("&protocol=3", b"HELLO")])
def test_the_protocol_of_redis_is_the_one_in_the_url(certificate: Certificate, protocol: str, first: bytes) -> None:
    heard = list_heard(certificate, "rediss", f"?ssl_cert_reqs=none{protocol}")
    assert {one.split(b"\r\n")[2] for one in heard} == {first}  # HELLO may carry an AUTH of its own
