"""Redis servers on loopback: single nodes, a cluster, and servers behind Sentinels."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from redis import Redis

from runner.redis_server import find_server
from tests.support.waiting import wait_until

SLOTS = 16_384

NODE_TIMEOUT_MS = 5000  # a node counts as dead after this silence

DOWN_AFTER_MS = 3000

MASTER = "avatars"

WAIT_SECONDS = 120.0  # for things that take a few seconds


@dataclass(eq=False)
class Node:
    """One server on its own port, which can be stopped and started again."""

    folder: Path
    options: dict[str, str] = field(default_factory=dict)
    port: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or _free_port()
        self.start()

    @property
    def client(self) -> Any:
        """A client of this node alone; untyped, since redis-py has no types for node commands."""
        return Redis(port=self.port)

    @property
    def where(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {"port": str(self.port), "bind": "127.0.0.1", "save": "", "dir": str(self.folder), **self.options}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._run([find_server(), *words])

    def answers(self) -> bool:
        """Returns True if it answers."""
        try:
            return bool(self.client.ping())
        except OSError:
            return False
        except Exception:  # noqa: BLE001 - any error means that it does not answer yet
            return False

    def kill(self) -> None:
        """Kill it like a kernel that is out of memory."""
        self.process.kill()
        self.process.wait(20)

    def is_followed(self) -> bool:
        """Returns True once a replica has all writes of this master up to now."""
        before = int(self.client.info("replication")["master_repl_offset"])
        state = self.client.info("replication")
        if state["role"] != "master" or state["connected_slaves"] == 0:
            return False
        wait_until(lambda: self.client.info("replication")["slave0"]["offset"] >= before, WAIT_SECONDS)
        return True

    def _run(self, command: list[str]) -> None:
        self.process = psutil.Popen(command, stdout=subprocess.DEVNULL)
        try:
            wait_until(self.answers, WAIT_SECONDS)
        except BaseException:
            self.kill()
            raise


@dataclass(eq=False)
class RedisCluster:
    """Three masters, each with a replica on request."""

    nodes: list[Node]

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(node.where for node in self.nodes[:3])}"

    def master_of(self, slot: int) -> Node:
        """Returns the node that holds the slot now."""
        for first, last, (_, port, *_), *_ in self._alive().client.execute_command("CLUSTER SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise LookupError(slot)

    def is_whole(self, masters: int = 3) -> bool:
        """Returns True if every running node sees every slot held by this many masters."""
        alive = [node for node in self.nodes if node.process.is_running() and node.answers()]
        states = [(_info(node)["cluster_state"], _info(node)["cluster_size"]) for node in alive]
        return states.count(("ok", str(masters))) == len(alive)

    def has_replicas(self) -> bool:
        """Returns True if each master has a replica with all its data."""
        starts = [number * SLOTS // 3 for number in range(3)]
        return self.is_whole() and all(self.master_of(slot).is_followed() for slot in starts)

    def _alive(self) -> Node:
        return next(node for node in self.nodes if node.process.is_running() and node.answers())


@dataclass(eq=False)
class WatchedRedis:
    """A master, a replica, and three Sentinels that watch them."""

    servers: list[Node]
    sentinels: list[Node]

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(node.where for node in self.sentinels)}/{MASTER}"

    @property
    def master(self) -> Node:
        """The current master according to the Sentinels."""
        answer = self.sentinels[0].client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", MASTER)
        return next(node for node in self.servers if node.port == int(answer[1]))


@contextmanager
def run_cluster(folder: Path, *, replicas: bool = False, **options: str) -> Iterator[RedisCluster]:
    """Run three masters that share all slots, with or without a replica each, in this folder."""
    options = {
        "cluster-enabled": "yes",
        "cluster-node-timeout": str(NODE_TIMEOUT_MS),
        "cluster-require-full-coverage": "no",
        "cluster-replica-validity-factor": "0",
        "maxmemory-policy": "volatile-lfu",
        "appendonly": "yes",
        **options,
    }
    with ExitStack() as stack:
        nodes = []
        for number in range(6 if replicas else 3):
            nodes.append(Node(folder / str(number), {**options, "cluster-port": str(_free_port())}))
            stack.callback(_end, nodes[-1])
        for number, node in enumerate(nodes[:3]):
            first, last = number * SLOTS // 3, (number + 1) * SLOTS // 3 - 1
            node.client.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
        for node in nodes[1:]:
            nodes[0].client.execute_command("CLUSTER MEET", "127.0.0.1", node.port, int(node.options["cluster-port"]))
        wait_until(lambda: all(_info(node)["cluster_known_nodes"] == str(len(nodes)) for node in nodes), WAIT_SECONDS)
        for master, replica in zip(nodes[:3], nodes[3:], strict=False):
            replica.client.execute_command("CLUSTER REPLICATE", master.client.execute_command("CLUSTER MYID"))
        cluster = RedisCluster(nodes)
        wait_until(cluster.is_whole, WAIT_SECONDS)
        wait_until(lambda: all(map(_follows, nodes[3:])), WAIT_SECONDS)
        yield cluster


@contextmanager
def run_watched(folder: Path, **options: str) -> Iterator[WatchedRedis]:
    """Run a master and a replica behind three Sentinels, in this folder."""
    with ExitStack() as stack:
        options = {"maxmemory-policy": "volatile-lfu", "appendonly": "yes", **options}
        master = Node(folder / "master", options)
        stack.callback(_end, master)
        replica = Node(folder / "replica", {**options, "replicaof": f"127.0.0.1 {master.port}"})
        stack.callback(_end, replica)
        sentinels = []
        for number in range(3):
            sentinels.append(_start_sentinel(folder / f"sentinel{number}", master))
            stack.callback(_end, sentinels[-1])
        watched = WatchedRedis([master, replica], sentinels)
        wait_until(lambda: _follows(replica), WAIT_SECONDS)
        wait_until(lambda: all(_watches(sentinel) for sentinel in sentinels), WAIT_SECONDS)
        yield watched


def _start_sentinel(folder: Path, master: Node) -> Node:
    folder.mkdir(parents=True)
    config = folder / "sentinel.conf"  # Sentinels write to it
    port = _free_port()
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor {MASTER} 127.0.0.1 {master.port} 2\n"
        f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}\n"
        f"sentinel failover-timeout {MASTER} 10000\n"
    )
    return Sentinel(folder, port=port)


class Sentinel(Node):
    """A Sentinel, started from its file."""

    def start(self) -> None:
        self._run([find_server(), str(self.folder / "sentinel.conf"), "--sentinel"])


def _follows(replica: Node) -> bool:
    return bool(replica.client.info("replication")["master_link_status"] == "up")


def _watches(sentinel: Node) -> bool:
    """Returns True if it knows the replica and the two others."""
    state = sentinel.client.sentinel_master(MASTER)
    return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == 2)


def _info(node: Node) -> dict[str, str]:
    return dict(node.client.execute_command("CLUSTER INFO"))


def _end(node: Node) -> None:
    if node.process.is_running():
        node.kill()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
