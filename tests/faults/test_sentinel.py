"""A Redis behind three Sentinels that loses its master: hits flow, the rest says so, and its replica takes over."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from faketelegram import TEST_TOKEN
from tests.support.faults import AWAY_SECONDS, Clients, Figure, Stage, let_pass, run_stage
from tests.support.redis_kinds import Node, WatchedRedis, run_watched
from tests.support.waiting import wait_until
from warmer.keys import Keys
from warmer.publish import LOST_SECONDS

pytestmark = [pytest.mark.faults, pytest.mark.alone]  # its bounds are of a machine that has nothing else to do
KEYS = Keys(TEST_TOKEN.partition(":")[0])
NORMAL_SECONDS = 20.0  # 3 s until the master counts as down, an election, and the services' own way to the new one
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
    """What the loss of the master is held to, however it goes; the lost one."""
    name, victim = f"Sentinels, the master {how}", watched.master
    hot, *others = (people := stage.warm(20)).values()
    queued = queue(stage, 20)
    fresh = iter(stage.add_people(2000).items())
    running = {process.pid for process in stage.processes(*PROCESSES)}
    with (
        Clients(lambda session: stage.get(hot, session)) as hits,
        Clients(
            *(lambda session, file_id=file_id: stage.get(file_id, session) for file_id in others[:3]),
            lambda session: stage.ask("/api/partner/recent", session=session),
            lambda session: stage.put(*next(fresh), session),
            number=4,
            pause=0.1,
        ) as rest,
    ):
        wait_until(lambda: len(hits.answers) > 100 and len(rest.answers) > 20)
        let_pass(1)  # what was written a moment before a master dies may not be at its replica
        lost_at = time.monotonic()
        victim.process.send_signal(act)
        for process in stage.processes("worker", "worker2"):
            process.resume()
        (last,) = stage.add_people(1).items()
        wait_until(lambda: stage.put(*last).status in (200, 201), 40)
        figure(f"{name}: a registration is taken again", time.monotonic() - lost_at, NORMAL_SECONDS)
        wait_until(lambda: stage.is_ready(last[0]), 20)
        figure(f"{name}: a new picture is warm again", time.monotonic() - lost_at, NORMAL_SECONDS + 5)
        wait_until(lambda: all(map(stage.is_ready, queued)), LOST_SECONDS + 20)
        figure(f"{name}: all that was queued is warm", time.monotonic() - lost_at, LOST_SECONDS + NORMAL_SECONDS)
    assert {answer.status for answer in hits.answers} == {200}
    assert {answer.status for answer in rest.answers} <= {200, 201, 503}
    refused = [answer for answer in rest.answers if answer.status == 503]
    assert {answer.retry_after is not None for answer in refused} == {True}
    figure(f"{name}: the slowest hit", max(answer.seconds for answer in hits.answers), AWAY_SECONDS)
    figure(f"{name}: the slowest 503", max(answer.seconds for answer in refused), AWAY_SECONDS)
    assert {stage.ask(f"/api/partner/{user_id}").status for user_id in people | queued} == {200}
    assert {stage.get(file_id).status for file_id in people.values()} == {200}
    assert {process.pid for process in stage.processes(*PROCESSES)} == running
    assert watched.master is not victim
    return victim


def queue(stage: Stage, number: int) -> dict[int, str]:
    """So many people whose pictures wait for workers, which are held until somebody lets them go on."""
    for process in stage.processes("worker", "worker2"):
        process.suspend()
    people = stage.add_people(number)
    stage.register(people)
    return people


def becomes_replica(node: Node) -> bool:
    return bool(node.client.info("replication")["role"] == "slave")


def test_the_master_is_killed(stage: Stage, watched: WatchedRedis, figure: Figure) -> None:
    victim = lose_master(stage, watched, figure, "killed", signal.SIGKILL)
    victim.start()
    wait_until(lambda: becomes_replica(victim), 40)
    stage.warm(3, within=10)


def test_the_master_is_paused(stage: Stage, watched: WatchedRedis, figure: Figure) -> None:
    victim = lose_master(stage, watched, figure, "paused", signal.SIGSTOP)
    victim.process.send_signal(signal.SIGCONT)
    wait_until(lambda: becomes_replica(victim), 40)
    stage.warm(3, within=10)
