"""Redis servers on this machine: single ones, a cluster, and servers behind Sentinels."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from runner import redis_server
from runner.ports import free_loopback_port
from tests.support.waiting import wait_until

SLOTS = 16_384
NODE_TIMEOUT_MS = 5000  # a node counts as dead after this silence
DOWN_AFTER_MS = 3000
MASTER = "avatars"
WAIT_SECONDS = 120.0  # for things that take a few seconds


class RedisServer:
    """A server as the runner starts it, which a test can stop, kill and start again with its data."""

    def __init__(self, folder: Path, **options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.options = folder, options
        self.socket = folder / "r.sock"  # short, since the path of a socket is limited
        self.url = f"unix://{self.socket}"
        # Untyped, since redis-py has no types for node commands. One new attempt finds a server that was restarted.
        self.client: Any = Redis.from_url(self.url, retry=Retry(NoBackoff(), 1))
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        if self.process.is_running():
            self.kill()

    def start(self) -> None:
        """Start it, and wait until it has loaded its data."""
        self.process = psutil.Popen(self._list_words(), stdout=subprocess.DEVNULL)
        try:
            wait_until(self.answers, WAIT_SECONDS)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop it like an operator."""
        self.process.terminate()
        self.process.wait(20)

    def kill(self) -> None:
        """Kill it like a kernel that is out of memory."""
        self.process.kill()
        self.process.wait(20)

    def answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except Exception:  # noqa: BLE001 - any error means that it does not answer yet
            return False

    def _list_words(self) -> list[str]:
        """Returns the command line; of two values for an option the last one counts."""
        program = redis_server.find_server()
        command = redis_server.command(program, socket=self.socket, folder=self.folder, maxmemory="256mb")
        return [*command, *(word for name, value in self.options.items() for word in (f"--{name}", value))]


class Node(RedisServer):
    """A server on a port of its own, too."""

    def __init__(self, folder: Path, **options: str) -> None:
        self.port = free_loopback_port()
        self.where = f"127.0.0.1:{self.port}"
        super().__init__(folder, **{"port": str(self.port), "bind": "127.0.0.1", **options})

    def is_followed(self) -> bool:
        """Returns True once a replica has all writes of this master up to now."""
        before = int(self.client.info("replication")["master_repl_offset"])
        state = self.client.info("replication")
        if state["role"] != "master" or state["connected_slaves"] == 0:
            return False
        wait_until(lambda: self.client.info("replication")["slave0"]["offset"] >= before, WAIT_SECONDS)
        return True


class Sentinel(Node):
    """A Sentinel of this master, started from a file, to which it writes."""

    def __init__(self, folder: Path, master: Node) -> None:
        self._master = master
        super().__init__(folder)

    def _list_words(self) -> list[str]:
        config = self.folder / "sentinel.conf"
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\nunixsocket {self.socket}\ndir {self.folder}\n"
            f"sentinel monitor {MASTER} 127.0.0.1 {self._master.port} 2\n"
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}\n"
            f"sentinel failover-timeout {MASTER} 10000\n"
        )
        return [redis_server.find_server(), str(config), "--sentinel"]


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
    sentinels: list[Sentinel]

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
        **options,
    }
    with ExitStack() as stack:
        nodes = []
        for number in range(6 if replicas else 3):
            bus = {"cluster-port": str(free_loopback_port())}
            nodes.append(stack.enter_context(Node(folder / str(number), **options, **bus)))
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
        master = stack.enter_context(Node(folder / "master", **options))
        replica = stack.enter_context(Node(folder / "replica", **options, replicaof=f"127.0.0.1 {master.port}"))
        sentinels = [stack.enter_context(Sentinel(folder / f"sentinel{number}", master)) for number in range(3)]
        wait_until(lambda: _follows(replica), WAIT_SECONDS)
        wait_until(lambda: all(map(_watches, sentinels)), WAIT_SECONDS)
        yield WatchedRedis([master, replica], sentinels)


def _follows(replica: Node) -> bool:
    return bool(replica.client.info("replication")["master_link_status"] == "up")


def _watches(sentinel: Sentinel) -> bool:
    """Returns True if it knows the replica and the two others."""
    state = sentinel.client.sentinel_master(MASTER)
    return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == 2)


def _info(node: Node) -> dict[str, str]:
    return dict(node.client.execute_command("CLUSTER INFO"))
