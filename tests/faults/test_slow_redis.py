"""A Redis that takes 100 ms per command, through a proxy."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.conftest import wait_until
from tests.support.crowd import check_hits, crowd
from tests.support.faults import DEADLINE, Figure, Stage, run_stage
from tests.support.redis_nodes import RedisServer
from tests.support.servers import Relay

SLOW_SECONDS = 0.1  # per command


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    folder = tmp_path_factory.mktemp("slow")
    with RedisServer(folder / "redis") as server, Relay(server.url, path=folder / "proxy.sock") as proxy:
        yield proxy


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, proxy: Relay) -> Iterator[Stage]:
    with run_stage(tmp_path_factory.mktemp("slow-redis"), REDIS_URL=proxy.url) as stage:
        yield stage


def test_with_a_slow_redis_hits_continue_and_other_requests_get_503(stage: Stage, proxy: Relay, figure: Figure) -> None:
    (hot, stored) = stage.warm(2).values()
    with crowd(stage, hot, [stored], number=3, pause=0.3, answers=3) as (hits, others):
        slow_at = time.monotonic()
        proxy.command_seconds = SLOW_SECONDS
        wait_until(lambda: len(hits.since(slow_at)) > 100 and len(others.refused_since(slow_at)) > 5, DEADLINE)
        mended = time.monotonic()
        proxy.command_seconds = 0.0
        (user_id,) = (people := stage.add_people(1))
        wait_until(
            lambda: stage.put(user_id, people[user_id]).status in (200, 201) and stage.is_ready(user_id), DEADLINE
        )
        figure("Redis slow: a new picture is warm again", time.monotonic() - mended)
    check_hits(hits)
    figure("Redis slow: the slowest hit", max(one.seconds for one in hits.between(slow_at, mended)))
    refused = [answer for answer in others.between(slow_at, mended) if answer.status == 503]
    assert refused
    assert {answer.status for answer in others.answers} <= {200, 201, 503}
    assert all(answer.retry_after for answer in refused)
    figure("Redis slow: the slowest 503", max(answer.seconds for answer in refused))
