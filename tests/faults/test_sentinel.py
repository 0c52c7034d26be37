"""A Redis behind three Sentinels loses its master: hits continue, other requests get 503, the replica takes over."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.crowd import check_hits, crowd
from tests.support.faults import DEADLINE, LEASE_DEADLINE, Clients, Figure, Stage, run_stage, suspended
from tests.support.redis_nodes import Node, WatchedRedis, run_watched
from tests.support.waiting import wait_until

PROCESSES = ("web", "worker", "worker2", "beat")


@pytest.fixture
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedRedis]:
    with run_watched(tmp_path_factory.mktemp("watched")) as watched:
        yield watched


@pytest.fixture
def stage(tmp_path_factory: pytest.TempPathFactory, watched: WatchedRedis) -> Iterator[Stage]:
    with run_stage(tmp_path_factory.mktemp("at-sentinels"), REDIS_URL=watched.url) as stage:
        yield stage


def lose_master(stage: Stage, watched: WatchedRedis, figure: Figure, how: str, act: int) -> Node:
    """Lose the master under load and check that everything recovers. Returns the lost node."""
    name, victim = f"Sentinels, the master {how}", watched.master
    hot, *others = (people := stage.warm(20)).values()
    queued = stage.add_people(20)
    running = {process.pid for process in stage.processes(*PROCESSES)}
    with ExitStack() as stopped_workers, crowd(stage, hot, others[:3], pause=0.1, answers=20) as (hits, rest):
        stopped_workers.enter_context(suspended(stage.processes("worker", "worker2")))
        stage.register(queued)
        wait_until(victim.is_followed, DEADLINE)  # a write just before a master dies may not reach the replica
        lost_at = time.monotonic()
        victim.process.send_signal(act)
        stopped_workers.close()
        (last,) = stage.add_people(1).items()
        wait_until(lambda: stage.put(*last).status in (200, 201), DEADLINE)
        figure(f"{name}: a registration succeeds again", time.monotonic() - lost_at)
        wait_until(lambda: stage.is_ready(last[0]), LEASE_DEADLINE)
        figure(f"{name}: a new picture is warm again", time.monotonic() - lost_at)
        wait_until(lambda: all(map(stage.is_ready, queued)), LEASE_DEADLINE)
        figure(f"{name}: every queued picture is warm", time.monotonic() - lost_at)
    check_answers(name, hits, rest, figure)
    wait_until(lambda: all(map(stage.is_ready, people | queued)), DEADLINE)
    wait_until(lambda: {stage.get(file_id).status for file_id in people.values()} == {200}, DEADLINE)
    assert {process.pid for process in stage.processes(*PROCESSES)} == running
    assert watched.master is not victim
    return victim


def check_answers(name: str, hits: Clients, rest: Clients, figure: Figure) -> None:
    """Check that hits continued and every other answer is a success, or a 503 with Retry-After."""
    check_hits(hits)
    assert {answer.status for answer in rest.answers} <= {200, 201, 503}
    refused = [answer for answer in rest.answers if answer.status == 503]
    assert {answer.retry_after is not None for answer in refused} == {True}
    figure(f"{name}: the slowest hit", max(answer.seconds for answer in hits.answers))
    figure(f"{name}: the slowest 503", max(answer.seconds for answer in refused))


def is_replica(node: Node) -> bool:
    return bool(node.client.info("replication")["role"] == "slave")


def test_the_service_recovers_from_a_killed_master(stage: Stage, watched: WatchedRedis, figure: Figure) -> None:
    victim = lose_master(stage, watched, figure, "killed", signal.SIGKILL)
    victim.start()
    wait_until(lambda: is_replica(victim), DEADLINE)
    stage.warm(3)


def test_the_service_recovers_from_a_paused_master(stage: Stage, watched: WatchedRedis, figure: Figure) -> None:
    victim = lose_master(stage, watched, figure, "paused", signal.SIGSTOP)
    victim.process.send_signal(signal.SIGCONT)
    wait_until(lambda: is_replica(victim), DEADLINE)
    stage.warm(3)
