"""Connections that are left alone after a time-out, and made anew when the server is there again."""

from __future__ import annotations

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from warmer.connect import connect_web
from warmer.settings import Settings
from web.breaker import BreakablePool, Breaker


@pytest.fixture
def pool(settings: Settings, redis: Redis) -> BreakablePool:
    one_server = settings.model_copy(update={"redis_url": settings.celery_broker_url or settings.redis_url})
    made = connect_web(one_server, 4, BreakablePool, breaker=Breaker()).connection_pool
    assert isinstance(made, BreakablePool)
    return made


def test_an_open_breaker_is_closed_when_the_server_is_known_to_be_there(pool: BreakablePool) -> None:
    pool.open()
    with pytest.raises(RedisConnectionError, match="too slow"):
        pool.get_connection()
    pool.begin_anew()
    pool.release(pool.get_connection())


def test_connections_at_rest_are_made_anew_and_those_in_use_stay(pool: BreakablePool) -> None:
    held, resting = pool.get_connection(), pool.get_connection()
    pool.release(resting)
    pool.begin_anew()
    assert (held.is_connected, resting.is_connected) == (True, False)
    assert pool.get_connection() is resting
    assert resting.is_connected
