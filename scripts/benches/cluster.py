"""A Redis Cluster of three masters for a measurement: on loopback, without replicas, in the testbed's folder."""

from __future__ import annotations

from typing import Any

from redis import Redis

from benches.testbed import BOTH, Testbed, answers, wait_for
from runner import redis_server
from runner.ports import free_loopback_port
from warmer.redis_client.clients import connect_worker
from warmer.settings import load_settings

MASTERS = 3
SLOTS = 16_384


def start_cluster(testbed: Testbed) -> Redis:
    """Start the cluster, and a single server for the queue. Returns a client, as the service connects."""
    testbed.start_redis()
    testbed.environment["CELERY_BROKER_URL"] = testbed.redis_url
    first, *others = masters = [_start_master(testbed, number) for number in range(MASTERS)]
    for port, bus in others:
        _connect(first[0]).execute_command("CLUSTER MEET", "127.0.0.1", port, bus)
    ports = [port for port, _ in masters]
    wait_for("the cluster", lambda: all(map(_sees_every_slot, ports)))
    url = f"redis+cluster://{','.join(f'127.0.0.1:{port}' for port in ports)}"
    testbed.redis_url = testbed.environment["REDIS_URL"] = url
    return connect_worker(load_settings(**{name.lower(): value for name, value in testbed.environment.items()}))


def _start_master(testbed: Testbed, number: int) -> tuple[int, int]:
    """Start a master with its third of the slots. Returns its port, and its port for the other masters."""
    port, bus = free_loopback_port(), free_loopback_port()
    folder = testbed.folder / f"master{number}"
    folder.mkdir()
    options = {
        "port": port,
        "bind": "127.0.0.1",
        "dir": folder,
        "save": "",
        "appendonly": "yes",
        "maxmemory-policy": "volatile-lfu",
        "cluster-enabled": "yes",
        "cluster-port": bus,
    }
    words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    testbed.start([redis_server.find_server(), *words], BOTH)
    node = _connect(port)
    wait_for("a master", lambda: answers(node))
    node.execute_command("CLUSTER ADDSLOTSRANGE", number * SLOTS // MASTERS, (number + 1) * SLOTS // MASTERS - 1)
    return port, bus


def _connect(port: int) -> Any:
    """A client of this node alone; redis-py has no types for the CLUSTER commands."""
    return Redis(port=port)


def _sees_every_slot(port: int) -> bool:
    info = dict(_connect(port).execute_command("CLUSTER INFO"))
    return (info["cluster_state"], info["cluster_size"]) == ("ok", str(MASTERS))
