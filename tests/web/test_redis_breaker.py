"""The circuit breaker: after a timeout Redis is skipped for a second, or for the rest of a request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.support.apps import wait_a_minute
from tests.support.clock import Clock
from warmer.redis_client.clients import connect_web
from warmer.settings import Settings
from web.redis_breaker import OPEN_SECONDS, REQUEST_SECONDS, TIMED_OUT_SECONDS, BreakablePool, Breaker, init_app


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


@pytest.fixture
def pool(
    settings: Settings, redis: Redis, breaker: Breaker, monkeypatch: pytest.MonkeyPatch
) -> Iterator[BreakablePool]:
    monkeypatch.setattr("warmer.redis_client.clients.Patience", wait_a_minute)
    one_server = settings.model_copy(update={"redis_url": settings.celery_broker_url or settings.redis_url})
    with connect_web(one_server, 4, BreakablePool, breaker=breaker) as client:
        assert isinstance(client.connection_pool, BreakablePool)
        yield client.connection_pool


def is_open(pool: BreakablePool) -> bool:
    """Returns True if the pool refuses a connection."""
    try:
        pool.release(pool.get_connection())
    except RedisConnectionError as error:
        return str(error) == "Redis is too slow"
    return False


def test_an_open_pool_refuses_connections_for_a_second(pool: BreakablePool, clock: Clock) -> None:
    pool.open()
    clock.advance(OPEN_SECONDS - 0.01)
    assert is_open(pool)
    clock.advance(0.02)
    assert not is_open(pool)


def test_an_open_pool_closes_when_redis_is_known_to_answer(pool: BreakablePool) -> None:
    pool.open()
    assert is_open(pool)
    pool.begin_anew()
    assert not is_open(pool)


@pytest.mark.parametrize(("seconds", "opens"), [(TIMED_OUT_SECONDS, True), (TIMED_OUT_SECONDS - 0.01, False)])
def test_a_timed_out_call_opens_the_pool(pool: BreakablePool, clock: Clock, seconds: float, opens: bool) -> None:
    connection = pool.get_connection()
    connection.disconnect()  # as redis-py does after a failed call
    clock.advance(seconds)
    pool.release(connection)
    assert is_open(pool) is opens


def test_a_slow_call_with_an_answer_does_not_open_the_pool(pool: BreakablePool, clock: Clock) -> None:
    connection = pool.get_connection()
    clock.advance(10 * TIMED_OUT_SECONDS)
    pool.release(connection)
    assert not is_open(pool)


@pytest.mark.parametrize(("error", "opens"), [(RedisTimeoutError, True), (RedisConnectionError, False)])
def test_a_connect_timeout_opens_the_pool_and_a_refused_connection_does_not(
    pool: BreakablePool, monkeypatch: pytest.MonkeyPatch, error: type[Exception], opens: bool
) -> None:
    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(pool.connection_class, "connect", fail)
        with pytest.raises(error):
            pool.get_connection()
    assert is_open(pool) is opens


def test_a_connection_that_another_thread_closes_when_it_is_taken_is_lost(pool: BreakablePool) -> None:
    idle = pool.get_connection()
    pool.release(idle)
    idle._parser._sock = None  # between two reads of redis-py
    with pytest.raises(RedisConnectionError, match="meanwhile"):
        pool.get_connection()
    assert not is_open(pool)


def test_idle_connections_are_replaced_and_used_ones_stay(pool: BreakablePool) -> None:
    held, resting = pool.get_connection(), pool.get_connection()
    pool.release(resting)
    pool.begin_anew()
    assert (held.is_connected, resting.is_connected) == (True, False)
    assert pool.get_connection() is resting
    assert resting.is_connected


# The time limit of a request


def test_a_request_that_used_up_its_time_calls_redis_no_more(breaker: Breaker, clock: Clock) -> None:
    breaker.begin_request()
    breaker.begin_call()
    clock.advance(REQUEST_SECONDS + 0.1)
    assert not breaker.is_open
    breaker.end_call()
    assert breaker.is_open
    breaker.end_request()
    assert not breaker.is_open


def test_the_time_of_several_calls_is_summed_without_the_time_between_them(breaker: Breaker, clock: Clock) -> None:
    breaker.begin_request()
    for spent in (REQUEST_SECONDS * 0.45, REQUEST_SECONDS * 0.45, REQUEST_SECONDS * 0.2):
        assert not breaker.is_open
        clock.advance(60)
        breaker.begin_call()
        clock.advance(spent)
        breaker.end_call()
    assert breaker.is_open


def test_simultaneous_calls_count_once(breaker: Breaker, clock: Clock) -> None:
    breaker.begin_request()
    for _ in range(3):
        breaker.begin_call()
    clock.advance(REQUEST_SECONDS / 2)
    for _ in range(3):
        breaker.end_call()
    assert not breaker.is_open


def test_overlapping_calls_count_from_the_first_start_to_the_last_end(breaker: Breaker, clock: Clock) -> None:
    breaker.begin_request()
    for _ in range(3):
        breaker.begin_call()
        clock.advance(REQUEST_SECONDS / 2)
    for _ in range(3):
        assert not breaker.is_open
        breaker.end_call()
    assert breaker.is_open


def test_every_request_of_an_app_has_a_time_limit(breaker: Breaker, clock: Clock, redis: Redis) -> None:
    app = Flask("app")
    init_app(app, breaker, redis)

    @app.get("/")
    def ask_slowly() -> str:
        was_open = breaker.is_open
        breaker.begin_call()
        clock.advance(REQUEST_SECONDS + 0.1)
        breaker.end_call()
        return f"{was_open} {breaker.is_open}"

    assert [app.test_client().get("/").text for _ in range(2)] == ["False True"] * 2
    assert not breaker.is_open


def test_the_next_request_starts_with_its_full_time(breaker: Breaker, clock: Clock) -> None:
    for _ in range(2):
        breaker.begin_request()
        assert not breaker.is_open
        breaker.begin_call()
        clock.advance(REQUEST_SECONDS + 0.1)
        breaker.end_call()


def test_calls_outside_a_request_are_not_limited(breaker: Breaker, clock: Clock) -> None:
    breaker.begin_call()
    clock.advance(60)
    breaker.end_call()
    assert not breaker.is_open


def test_the_pool_refuses_a_request_that_used_up_its_time(pool: BreakablePool, breaker: Breaker, clock: Clock) -> None:
    breaker.begin_request()
    connection: Any = pool.get_connection()
    clock.advance(REQUEST_SECONDS + 0.1)
    pool.release(connection)
    assert is_open(pool)
    breaker.end_request()
    assert not is_open(pool)
