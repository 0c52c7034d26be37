"""A Redis that Sentinels watch loses its master, which held everything: pictures, partners and the queue."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from tests.crowd import crowd, share_of
from tests.faults import AWAY_SECONDS, Figure, Stage, let_pass, run_stage
from tests.redis_kinds import DOWN_AFTER_MS, WatchedRedis, run_watched
from tests.waiting import wait_until
from warmer.publish import LOST_SECONDS

pytestmark = [pytest.mark.faults, pytest.mark.alone]  # its bounds are of a machine that has nothing else to do
NORMAL_SECONDS = DOWN_AFTER_MS / 1000 + 12  # until it counts as dead, an election, and the services' own way back
PEOPLE = 30
HOW = {"killed": signal.SIGKILL, "paused": signal.SIGSTOP}


@pytest.fixture
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedRedis]:
    with run_watched(tmp_path_factory.mktemp("watched")) as watched:
        yield watched


@pytest.fixture
def stage(tmp_path_factory: pytest.TempPathFactory, watched: WatchedRedis) -> Iterator[Stage]:
    with run_stage(tmp_path_factory.mktemp("stage"), REDIS_URL=watched.url) as stage:
        yield stage


@pytest.mark.parametrize("how", HOW)
def test_a_master_is_lost(stage: Stage, watched: WatchedRedis, figure: Figure, how: str) -> None:
    people, lost = stage.warm(PEOPLE), watched.master
    running = {process.pid for process in stage.processes("web", "worker", "worker2", "beat")}
    let_pass(1)  # what was written a moment before may not be at the replica
    with crowd(stage, people) as (hits, rest):
        lost_at = time.monotonic()
        lost.process.send_signal(HOW[how])
        (last,) = stage.add_people(1).items()
        wait_until(lambda: watched.master is not lost, NORMAL_SECONDS)
        elected_at = time.monotonic()
        wait_until(lambda: stage.put(*last).status in (200, 201) and stage.is_ready(last[0]), 40)
        wait_until(lambda: all(stage.get(file_id).status == 200 for file_id in people.values()), 20)
        normal_at = time.monotonic()
    figure(f"Sentinels, the master {how}: everything is as before", normal_at - lost_at, NORMAL_SECONDS)
    figure(f"Sentinels, the master {how}: the same, after the election", normal_at - elected_at, 10)
    assert {answer.status for answer in hits.answers} == {200}
    assert {answer.status for answer in rest.answers} <= {200, 201, 404, 503}
    refused = [answer for answer in rest.answers if answer.status == 503]
    assert all(answer.retry_after for answer in refused)
    figure(f"Sentinels, the master {how}: the slowest 503", max(answer.seconds for answer in refused), AWAY_SECONDS)
    figure(f"Sentinels, the master {how}: refused, of 100 requests", share_of(refused, rest.answers), 100)
    assert {stage.state_of(user_id) for user_id in people} == {"ready"}
    assert {process.pid for process in stage.processes("web", "worker", "worker2", "beat")} == running
    lost.start() if how == "killed" else lost.process.send_signal(signal.SIGCONT)
    wait_until(lambda: lost.client.info("replication")["role"] == "slave", 30)
    assert {stage.put(*last).status, stage.get(last[1]).status} == {200}


def test_what_is_queued_outlives_the_master(stage: Stage, watched: WatchedRedis, figure: Figure) -> None:
    workers, queued = stage.processes("worker", "worker2"), stage.add_people(20)
    for process in workers:
        process.suspend()
    assert {stage.put(user_id, file_id).status for user_id, file_id in queued.items()} == {201}
    let_pass(1)
    watched.master.kill()
    lost_at = time.monotonic()
    for process in workers:
        process.resume()
    # A message that a worker was just being sent when the master died is due again.
    most = LOST_SECONDS + NORMAL_SECONDS
    wait_until(lambda: all(map(stage.is_ready, queued)), most + 10)
    figure("Sentinels, the master killed: all that was queued is warm", time.monotonic() - lost_at, most)
