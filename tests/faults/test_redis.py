"""Redis that is stopped, killed, paused, full, read-only or slow: hits flow, the rest says so, all comes back."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from faketelegram import TEST_TOKEN
from tests.conftest import wait_until
from tests.support.faults import (
    AWAY_SECONDS,
    BACK_SECONDS,
    Clients,
    Figure,
    RedisServer,
    Stage,
    let_pass,
    run_stage,
)
from warmer.keys import Keys
from warmer.publish import LOST_SECONDS

pytestmark = [pytest.mark.faults, pytest.mark.alone]  # its bounds are of a machine that has nothing else to do
KEYS = Keys(TEST_TOKEN.partition(":")[0])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("own") / "redis")
    yield server
    server.process.kill()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, server: RedisServer) -> Iterator[Stage]:
    with run_stage(tmp_path_factory.mktemp("redis-faults"), REDIS_URL=server.url) as stage:
        yield stage


@contextmanager
def outage(stage: Stage, server: RedisServer, name: str, figure: Figure, mend: Callable[[], object]) -> Iterator[None]:
    """What every outage is held to: the block breaks Redis and lets that last."""
    hot, cold = next(iter(stage.warm(1).values())), next(iter(stage.add_people(1).values()))
    stage.fake.fail("getFile", "internal-error", times=None, file_id=cold)
    late, fresh = next(iter(stage.add_people(1).values())), stage.add_people(500)
    running = {process.pid for process in stage.processes("web", "worker", "worker2", "beat")}
    with (
        Clients(lambda session: stage.get(hot, session)) as hits,
        Clients(
            lambda session: stage.get(cold, session),
            lambda session: stage.ask("/api/partner/recent", session=session),
            lambda session: stage.put(*fresh.popitem(), session),
            number=3,
            pause=0.1,
        ) as others,
    ):
        wait_until(lambda: len(hits.answers) > 100 and len(others.answers) > 3)
        started = time.monotonic()
        yield
        ended = time.monotonic()
        mend()
        mended = time.monotonic()
        server.client.zadd(KEYS.due, {late: 0})
        (last,) = stage.add_people(1).items()
        wait_until(lambda: is_normal(stage, *last), 20)
        figure(f"Redis {name}: a new picture is warm again", time.monotonic() - mended, BACK_SECONDS)
        wait_until(lambda: is_stored(server, late))
        figure(f"Redis {name}: beat's next round has warmed a picture", time.monotonic() - mended, BACK_SECONDS + 0.5)
    during = hits.between(started, ended)
    assert {answer.status for answer in hits.answers} == {200}
    figure(f"Redis {name}: the slowest hit", max(answer.seconds for answer in during), AWAY_SECONDS)
    refused = [answer for answer in others.between(started, ended) if answer.status == 503]
    assert all(answer.retry_after for answer in refused)
    assert {answer.status for answer in others.answers} <= {200, 201, 404, 503}
    figure(f"Redis {name}: the slowest 503", max(answer.seconds for answer in refused), AWAY_SECONDS)
    assert {process.pid for process in stage.processes("web", "worker", "worker2", "beat")} == running


def is_normal(stage: Stage, user_id: int, file_id: str) -> bool:
    """Whether each web process takes a registration, and the picture is warm."""
    return all(stage.put(user_id, file_id).status in (200, 201) for _ in range(6)) and stage.is_ready(user_id)


def test_redis_stopped_for_20_s(stage: Stage, server: RedisServer, figure: Figure) -> None:
    with outage(stage, server, "stopped for 20 s", figure, server.start):
        server.stop()
        let_pass(20)


def test_redis_killed_and_restarted(stage: Stage, server: RedisServer, figure: Figure) -> None:
    with outage(stage, server, "killed and restarted", figure, server.start):
        server.kill()
        let_pass(1)


def test_redis_paused(stage: Stage, server: RedisServer, figure: Figure) -> None:
    with outage(stage, server, "paused for 5 s", figure, lambda: server.process.send_signal(signal.SIGCONT)):
        server.process.send_signal(signal.SIGSTOP)
        let_pass(5)


def test_redis_read_only(stage: Stage, server: RedisServer, figure: Figure) -> None:
    with outage(stage, server, "read-only", figure, lambda: server.client.replicaof("NO", "ONE")):
        server.client.replicaof("127.0.0.1", "1")  # a replica of nobody takes no writes
        let_pass(5)


def test_redis_full(stage: Stage, server: RedisServer, figure: Figure) -> None:
    with outage(stage, server, "full", figure, lambda: server.client.config_set("maxmemory", "256mb")):
        server.client.config_set("maxmemory", "1mb")
        let_pass(5)


def test_partners_and_queued_work_survive_a_crash_and_a_full_cache(
    stage: Stage, server: RedisServer, figure: Figure
) -> None:
    (first, *_) = partners = stage.warm(5)
    workers, queued = stage.processes("worker", "worker2"), stage.add_people(20)
    for process in workers:
        process.suspend()
    assert {stage.put(user_id, file_id).status for user_id, file_id in queued.items()} == {201}
    server.kill()
    server.start()
    server.client.config_set("maxmemory", "1mb")
    wait_until(lambda: not is_stored(server, partners[first]))  # evicted: the pictures alone have a TTL
    for process in workers:
        process.resume()
    let_pass(2)  # in which a worker takes messages that it can note nowhere
    server.client.config_set("maxmemory", "256mb")
    mended = time.monotonic()
    assert {stage.ask(f"/api/partner/{user_id}").status for user_id in (*partners, *queued)} == {200}
    wait_until(lambda: all(map(stage.is_ready, queued)), LOST_SECONDS + 10)
    figure("Redis killed, then full: all that was queued is warm", time.monotonic() - mended, LOST_SECONDS + 5)


def is_stored(server: RedisServer, file_id: str) -> bool:
    return bool(server.client.exists(KEYS.variant(file_id, 160, "webp")))
