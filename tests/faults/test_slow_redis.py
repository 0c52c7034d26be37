"""Redis that takes 100 ms for a command, by way of a proxy."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.conftest import wait_until
from tests.support.faults import AWAY_SECONDS, BACK_SECONDS, Clients, Figure, RedisServer, Stage, let_pass, run_stage
from tests.support.slow_proxy import SlowProxy

pytestmark = pytest.mark.faults
SLOW_SECONDS = 0.1  # a command


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlowProxy]:
    folder = tmp_path_factory.mktemp("slow")
    server = RedisServer(folder / "redis")
    proxy = SlowProxy(folder / "proxy.sock", server.url)
    yield proxy
    proxy.close()
    server.kill()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, proxy: SlowProxy) -> Iterator[Stage]:
    with run_stage(tmp_path_factory.mktemp("slow-redis"), REDIS_URL=proxy.url) as stage:
        yield stage


def test_a_slow_redis_slows_no_hit_down_and_makes_nobody_wait_for_long(
    stage: Stage, proxy: SlowProxy, figure: Figure
) -> None:
    (hot, stored) = stage.warm(2).values()
    fresh = stage.add_people(100)
    with (
        Clients(lambda session: stage.get(hot, session)) as hits,
        Clients(
            lambda session: stage.get(stored, session),
            lambda session: stage.ask("/api/partner/recent", session=session),
            lambda session: stage.put(*fresh.popitem(), session),
            number=3,
            pause=0.3,
        ) as others,
    ):
        wait_until(lambda: len(hits.answers) > 100 and len(others.answers) > 3)
        slow_at = time.monotonic()
        proxy.seconds = SLOW_SECONDS
        let_pass(8)
        mended = time.monotonic()
        proxy.seconds = 0.0
        (user_id,) = (people := stage.add_people(1))
        wait_until(lambda: stage.put(user_id, people[user_id]).status in (200, 201) and stage.is_ready(user_id), 20)
        figure("Redis slow: a new picture is warm again", time.monotonic() - mended, BACK_SECONDS)
    assert {answer.status for answer in hits.answers} == {200}
    figure("Redis slow: the slowest hit", max(one.seconds for one in hits.between(slow_at, mended)), AWAY_SECONDS)
    refused = [answer for answer in others.between(slow_at, mended) if answer.status == 503]
    assert {answer.status for answer in others.answers} <= {200, 201, 503}
    assert all(answer.retry_after for answer in refused)
    figure("Redis slow: the slowest 503", max(answer.seconds for answer in refused), AWAY_SECONDS)
