"""A Redis Cluster of three masters and three replicas that loses a master or moves slots under load."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.crc import key_slot

from tests.faults.conftest import KEYS
from tests.support.crowd import check_hits, crowd, share_of
from tests.support.faults import DEADLINE, LEASE_DEADLINE, Figure, Stage, run_stage
from tests.support.redis_nodes import Node, RedisCluster, RedisServer, run_cluster
from tests.support.running import PATIENT
from tests.support.waiting import wait_until

PEOPLE = 30


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with run_cluster(tmp_path_factory.mktemp("cluster"), replicas=True) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, cluster: RedisCluster) -> Iterator[dict[str, str]]:
    with RedisServer(tmp_path_factory.mktemp("broker")) as broker:
        yield {"REDIS_URL": cluster.url, "CELERY_BROKER_URL": broker.url}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, str]) -> Iterator[Stage]:
    with run_stage(tmp_path_factory.mktemp("stage"), **settings) as stage:
        yield stage


@pytest.fixture
def patient_stage(tmp_path: Path, settings: dict[str, str]) -> Iterator[Stage]:
    """A service without timeouts of Redis: each 503 of it comes from a moved slot that was not followed."""
    with run_stage(tmp_path, **settings, **PATIENT) as stage:
        yield stage


def test_requests_succeed_while_slots_move(patient_stage: Stage, cluster: RedisCluster, figure: Figure) -> None:
    """Runs first: the masters are still the original ones, and no other service runs yet."""
    stage = patient_stage
    people = stage.warm(PEOPLE)
    moving = {key_slot(KEYS.preview(file_id).encode()) for file_id in people.values()}
    moving |= {key_slot(key.encode()) for key in (KEYS.schedule, KEYS.purge, KEYS.budget, KEYS.recent)}
    hot, *others = people.values()
    with crowd(stage, hot, others) as (hits, rest):
        for slot in sorted(moving):
            move(cluster, slot)
        (last,) = stage.add_people(1).items()
        stage.register(dict([last]))
        wait_until(lambda: stage.is_ready(last[0]), DEADLINE)
        gone = list(people)[-1]  # `hot` stays
        stage.forget(gone)
        assert stage.get(people.pop(gone)).status == 404
    hits.check_served()
    assert rest.without(200, 201, 404) == []
    figure("cluster, slots move: 503s, of 100 requests", 0)
    figure("cluster, slots move: the slowest answer", max(answer.seconds for answer in rest.answers))
    wait_until(lambda: all(map(stage.is_ready, people)), DEADLINE)


def move(cluster: RedisCluster, slot: int) -> None:
    """Move the slot and its keys to another master, as redis-cli does."""
    source = cluster.master_of(slot)
    target = next(node for node in cluster.nodes[:3] if node is not source)
    ids = {node: node.client.execute_command("CLUSTER MYID").decode() for node in (source, target)}
    target.client.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[source])
    source.client.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[target])
    while keys := source.client.execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
        source.client.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
    for node in (target, source, *cluster.nodes[:3]):
        node.client.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[target])


def check_lost_master(stage: Stage, cluster: RedisCluster, name: str, figure: Figure, victim: Node, act: int) -> None:
    """Check that hits continue, other requests get 503 for a while, and no data is lost when this master is lost."""
    people = stage.warm(PEOPLE)
    wait_until(cluster.has_replicas, DEADLINE)  # a write just before a master dies may not reach the replica
    hot, *others = people.values()
    with crowd(stage, hot, others) as (hits, rest):
        lost_at = time.monotonic()
        victim.process.send_signal(act)
        (last,) = stage.add_people(1).items()
        wait_until(lambda: stage.put(*last).status in (200, 201) and stage.is_ready(last[0]), LEASE_DEADLINE)
        wait_until(lambda: all(stage.get(file_id).status == 200 for file_id in people.values()), DEADLINE)
        figure(f"{name}: everything works again", time.monotonic() - lost_at)
    check_hits(hits)
    assert rest.without(200, 201, 404, 503) == []
    refused = [answer for answer in rest.answers if answer.status == 503]
    figure(f"{name}: 503s, of 100 requests until then", share_of(refused, rest.answers))
    figure(f"{name}: the slowest answer", max(answer.seconds for answer in rest.answers))
    wait_until(lambda: all(map(stage.is_ready, people)), DEADLINE)


@pytest.mark.parametrize("what", ["schedule", "purges"])
def test_the_service_recovers_from_a_killed_master(
    stage: Stage, cluster: RedisCluster, figure: Figure, what: str
) -> None:
    """Kill the master with the schedule, or the one whose purge channel every web process subscribes to."""
    victim = cluster.master_of(key_slot({"schedule": KEYS.schedule, "purges": KEYS.purge}[what].encode()))
    check_lost_master(stage, cluster, f"cluster, the master of the {what} killed", figure, victim, signal.SIGKILL)
    victim.start()
    wait_until(cluster.is_whole, DEADLINE)


def test_the_service_recovers_from_a_paused_master(stage: Stage, cluster: RedisCluster, figure: Figure) -> None:
    victim = cluster.master_of(key_slot(KEYS.schedule.encode()))
    check_lost_master(stage, cluster, "cluster, a master paused", figure, victim, signal.SIGSTOP)
    victim.process.send_signal(signal.SIGCONT)
    wait_until(lambda: victim.client.info("replication")["role"] == "slave", DEADLINE)
