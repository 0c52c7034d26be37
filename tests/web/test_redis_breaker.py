"""Redis is left alone after a time-out, for a second or for the rest of a request, and found again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.support.clock import Clock
from warmer.redis_client.clients import connect_web
from warmer.settings import Settings
from web.redis_breaker import OPEN_SECONDS, REQUEST_SECONDS, TIMED_OUT_SECONDS, BreakablePool, Breaker, init_app


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


@pytest.fixture
def pool(settings: Settings, redis: Redis, breaker: Breaker) -> Iterator[BreakablePool]:
    one_server = settings.model_copy(update={"redis_url": settings.celery_broker_url or settings.redis_url})
    with connect_web(one_server, 4, BreakablePool, breaker=breaker) as client:
        assert isinstance(client.connection_pool, BreakablePool)
        yield client.connection_pool


def is_open(pool: BreakablePool) -> bool:
    """Whether the pool refuses to give a connection."""
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


def test_an_open_pool_is_closed_when_the_server_is_known_to_be_there(pool: BreakablePool) -> None:
    pool.open()
    assert is_open(pool)
    pool.begin_anew()
    assert not is_open(pool)


@pytest.mark.parametrize(("seconds", "opens"), [(TIMED_OUT_SECONDS, True), (TIMED_OUT_SECONDS - 0.01, False)])
def test_a_call_that_was_cut_after_a_time_out_opens_the_pool(
    pool: BreakablePool, clock: Clock, seconds: float, opens: bool
) -> None:
    connection = pool.get_connection()
    connection.disconnect()  # as redis-py does with a call that failed
    clock.advance(seconds)
    pool.release(connection)
    assert is_open(pool) is opens


def test_a_slow_call_that_was_answered_does_not_open_it(pool: BreakablePool, clock: Clock) -> None:
    connection = pool.get_connection()
    clock.advance(10 * TIMED_OUT_SECONDS)
    pool.release(connection)
    assert not is_open(pool)


@pytest.mark.parametrize(("error", "opens"), [(RedisTimeoutError, True), (RedisConnectionError, False)])
def test_a_connection_that_times_out_opens_the_pool_and_one_that_is_refused_does_not(
    pool: BreakablePool, monkeypatch: pytest.MonkeyPatch, error: type[Exception], opens: bool
) -> None:
    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(pool.connection_class, "connect", fail)
        with pytest.raises(error):
            pool.get_connection()
    assert is_open(pool) is opens


def test_connections_at_rest_are_made_anew_and_those_in_use_stay(pool: BreakablePool) -> None:
    held, resting = pool.get_connection(), pool.get_connection()
    pool.release(resting)
    pool.begin_anew()
    assert (held.is_connected, resting.is_connected) == (True, False)
    assert pool.get_connection() is resting
    assert resting.is_connected


# The time of one request


def test_a_request_that_spent_its_time_with_a_slow_redis_asks_no_more(breaker: Breaker, clock: Clock) -> None:
    breaker.begin_request()
    breaker.begin_call()
    clock.advance(REQUEST_SECONDS + 0.1)
    assert not breaker.is_open
    breaker.end_call()
    assert breaker.is_open
    breaker.end_request()
    assert not breaker.is_open


def test_the_time_of_several_calls_adds_up_and_what_lies_between_them_does_not_count(
    breaker: Breaker, clock: Clock
) -> None:
    breaker.begin_request()
    for spent in (REQUEST_SECONDS * 0.45, REQUEST_SECONDS * 0.45, REQUEST_SECONDS * 0.2):
        assert not breaker.is_open
        clock.advance(60)
        breaker.begin_call()
        clock.advance(spent)
        breaker.end_call()
    assert breaker.is_open


def test_calls_at_the_same_time_count_once(breaker: Breaker, clock: Clock) -> None:
    breaker.begin_request()
    for _ in range(3):
        breaker.begin_call()
    clock.advance(REQUEST_SECONDS / 2)
    for _ in range(3):
        breaker.end_call()
    assert not breaker.is_open


def test_calls_that_overlap_count_from_the_first_to_the_last(breaker: Breaker, clock: Clock) -> None:
    breaker.begin_request()
    for _ in range(3):
        breaker.begin_call()
        clock.advance(REQUEST_SECONDS / 2)
    for _ in range(3):
        assert not breaker.is_open
        breaker.end_call()
    assert breaker.is_open


def test_every_request_of_an_app_is_bounded(breaker: Breaker, clock: Clock, redis: Redis) -> None:
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


def test_the_next_request_begins_with_no_time_spent(breaker: Breaker, clock: Clock) -> None:
    for _ in range(2):
        breaker.begin_request()
        assert not breaker.is_open
        breaker.begin_call()
        clock.advance(REQUEST_SECONDS + 0.1)
        breaker.end_call()


def test_where_no_request_is_served_time_is_not_counted(breaker: Breaker, clock: Clock) -> None:
    breaker.begin_call()
    clock.advance(60)
    breaker.end_call()
    assert not breaker.is_open


def test_the_pool_of_a_request_that_spent_its_time_refuses_it(
    pool: BreakablePool, breaker: Breaker, clock: Clock
) -> None:
    breaker.begin_request()
    connection: Any = pool.get_connection()
    clock.advance(REQUEST_SECONDS + 0.1)
    pool.release(connection)
    assert is_open(pool)
    breaker.end_request()
    assert not is_open(pool)
