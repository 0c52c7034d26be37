"""Redis stopped, killed, paused, full or read-only: hits continue, other requests get 503, and everything recovers."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import wait_until
from tests.faults.conftest import KEYS
from tests.support.crowd import check_hits, crowd
from tests.support.faults import (
    DEADLINE,
    LEASE_DEADLINE,
    Figure,
    Stage,
    ask_despite_timeouts,
    let_pass,
    run_stage,
    suspended,
)
from tests.support.redis_nodes import RedisServer

Act = Callable[[], object]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("own") / "redis") as server:
        yield server


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, server: RedisServer) -> Iterator[Stage]:
    with run_stage(tmp_path_factory.mktemp("redis-faults"), REDIS_URL=server.url) as stage:
        yield stage


def check_outage(stage: Stage, server: RedisServer, name: str, figure: Figure, lose: Act, mend: Act) -> None:
    """Check an outage: hits continue, other requests get 503, and everything recovers without a restart."""
    hot, cold = next(iter(stage.warm(1).values())), next(iter(stage.add_people(1).values()))
    stage.fake.fail("getFile", "internal-error", times=None, file_id=cold)
    late = next(iter(stage.add_people(1).values()))
    running = {process.pid for process in stage.processes("web", "worker", "worker2", "beat")}
    with crowd(stage, hot, [cold], number=3, pause=0.1, answers=3) as (hits, others):
        started = time.monotonic()
        lose()
        wait_until(lambda: len(hits.since(started)) > 100 and len(others.refused_since(started)) > 9, DEADLINE)
        wait_until(lambda: stage.list_faults()[:1] == ["RedisAway"], DEADLINE)
        ended = time.monotonic()
        mend()
        mended = time.monotonic()
        server.client.zadd(KEYS.schedule, {late: 0})
        (last,) = stage.add_people(1).items()
        wait_until(lambda: is_normal(stage, *last), DEADLINE)
        figure(f"Redis {name}: a new picture is warm again", time.monotonic() - mended)
        wait_until(lambda: is_stored(server, late), LEASE_DEADLINE)
        figure(f"Redis {name}: beat's next round has warmed a picture", time.monotonic() - mended)
    during, refused = hits.between(started, ended), others.refused_since(started)
    check_hits(hits)
    assert all(answer.retry_after for answer in refused)
    assert {answer.status for answer in others.answers} <= {200, 201, 404, 503}
    figure(f"Redis {name}: the slowest hit", max(answer.seconds for answer in during))
    figure(f"Redis {name}: the slowest 503", max(answer.seconds for answer in refused))
    assert {process.pid for process in stage.processes("web", "worker", "worker2", "beat")} == running


def is_normal(stage: Stage, user_id: int, file_id: str) -> bool:
    """Returns True if each web process accepts a registration and the picture is warm."""
    return all(stage.put(user_id, file_id).status in (200, 201) for _ in range(6)) and stage.is_ready(user_id)


def test_the_service_recovers_from_a_redis_that_was_stopped_for_long(
    stage: Stage, server: RedisServer, figure: Figure
) -> None:
    """Long enough for the reconnect delays to reach their maximum."""

    def stop() -> None:
        server.stop()
        let_pass(10)

    check_outage(stage, server, "stopped for 10 s", figure, stop, server.start)


def test_the_service_recovers_from_a_killed_redis(stage: Stage, server: RedisServer, figure: Figure) -> None:
    check_outage(stage, server, "killed and restarted", figure, server.kill, server.start)


def test_the_service_recovers_from_a_paused_redis(stage: Stage, server: RedisServer, figure: Figure) -> None:
    def pause() -> None:
        server.process.send_signal(signal.SIGSTOP)
        let_pass(5)

    check_outage(stage, server, "paused for 5 s", figure, pause, lambda: server.process.send_signal(signal.SIGCONT))


def test_the_service_recovers_from_a_read_only_redis(stage: Stage, server: RedisServer, figure: Figure) -> None:
    """A replica without a master refuses writes."""
    redis = server.client
    lose, mend = (lambda: redis.replicaof("127.0.0.1", "1")), (lambda: redis.replicaof("NO", "ONE"))
    check_outage(stage, server, "read-only", figure, lose, mend)


def test_the_service_recovers_from_a_full_redis(stage: Stage, server: RedisServer, figure: Figure) -> None:
    def give(memory: str) -> None:
        server.client.config_set("maxmemory", memory)

    check_outage(stage, server, "full", figure, lambda: give("1mb"), lambda: give("256mb"))


def test_partners_and_queued_work_survive_a_crash_and_a_full_cache(
    stage: Stage, server: RedisServer, figure: Figure
) -> None:
    (first, *_) = partners = stage.warm(5)
    workers, queued = stage.processes("worker", "worker2"), stage.add_people(20)
    with suspended(workers):
        stage.register(queued)
        server.kill()
        server.start()
        server.client.config_set("maxmemory", "1mb")
        wait_until(lambda: not is_stored(server, partners[first]), DEADLINE)  # only the pictures may be evicted
    let_pass(2)  # meanwhile a worker takes messages but cannot write
    server.client.config_set("maxmemory", "256mb")
    mended = time.monotonic()
    wait_until(lambda: None not in map(stage.state_of, (*partners, *queued)), DEADLINE)
    wait_until(lambda: all(map(stage.is_ready, queued)), LEASE_DEADLINE)
    figure("Redis killed, then full: every queued picture is warm", time.monotonic() - mended)


def test_a_forgotten_picture_stays_forgotten_while_redis_evicts(stage: Stage, server: RedisServer) -> None:
    ((user_id, file_id),) = stage.warm(1).items()
    others = stage.warm(5)
    stage.forget(user_id)
    server.client.config_set("maxmemory", "1mb")
    wait_until(lambda: not any(is_stored(server, other) for other in others.values()), DEADLINE)
    server.client.config_set("maxmemory", "256mb")
    wait_until(lambda: {stage.get(other).status for other in others.values()} == {200}, LEASE_DEADLINE)
    assert ask_despite_timeouts(lambda: stage.get(file_id)).status == 404
    assert not is_stored(server, file_id)


def is_stored(server: RedisServer, file_id: str) -> bool:
    return bool(server.client.exists(KEYS.variant(file_id, 160, "webp")))
