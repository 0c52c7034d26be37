"""A Redis Cluster behind the interface of `redis.Redis`, as far as this project asks for it.

What differs is here, and nowhere else: redis-py's client connects when it is made, raises errors of another family,
refuses commands in pipelines that it could route, and knows no command of several slots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from threading import Lock
from typing import Any

from redis import RedisCluster
from redis.commands.core import Script
from redis.exceptions import ConnectionError, RedisClusterException


@contextmanager
def _as_redis_error() -> Iterator[None]:
    """A cluster that cannot be reached is a server that cannot be reached."""
    try:
        yield
    except RedisClusterException as error:
        raise ConnectionError(f"the cluster is away ({type(error).__name__})") from error


def _translated(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def run(*args: Any, **options: Any) -> Any:
        with _as_redis_error():
            return call(*args, **options)

    return run


class Cluster:
    """A client that connects with its first command.

    `anchor` is a key: the instants of all keys are read from the clock of the node that holds it.
    """

    def __init__(self, connect: Callable[[], RedisCluster], anchor: str) -> None:
        self._connect = connect
        self._anchor = anchor
        self._lock = Lock()
        self._nodes: RedisCluster | None = None
        self._scripts: dict[str, bytes] = {}  # by their hash

    def __getattr__(self, name: str) -> Any:
        """Any other command, as redis-py has it."""
        return _translated(getattr(self.nodes, name))

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def nodes(self) -> RedisCluster:
        """redis-py's client; raises ConnectionError where no node answers."""
        if self._nodes is None:
            with self._lock, _as_redis_error():
                if self._nodes is None:
                    self._nodes = self._connect()
        return self._nodes

    def close(self) -> None:
        """Close every connection."""
        if self._nodes is not None:
            self._nodes.close()

    def register_script(self, text: str | bytes) -> Script:
        """A script; a pipeline sends its text, since a node may not know it."""
        text = text.encode() if isinstance(text, str) else text
        script = Script(self, text)  # type: ignore[arg-type]  # it asks its client for EVALSHA and SCRIPT LOAD alone
        self._scripts[script.sha] = text
        return script

    def time(self) -> tuple[int, int]:
        """The clock of one node, the same for everybody: seconds, microseconds."""
        with _as_redis_error():
            node = self.nodes.get_node_from_key(self._anchor)  # type: ignore[no-untyped-call]  # as above
            seconds, micros = self.nodes.execute_command("TIME", target_nodes=node)  # type: ignore[no-untyped-call]
        return int(seconds), int(micros)

    @_translated
    def mget(self, keys: str | Sequence[str], *more: str) -> list[bytes | None]:
        """Values of several slots, in one round trip for each node."""
        names = [keys, *more] if isinstance(keys, str) else [*keys, *more]
        return list(self.nodes.mget_nonatomic(names))

    @_translated
    def publish(self, channel: str, message: str) -> int:
        """To whoever listens; the number of listeners is right where the channel has a slot."""
        command = "SPUBLISH" if "{" in channel else "PUBLISH"
        return int(self.nodes.execute_command(command, channel, message))  # type: ignore[no-untyped-call]  # as above

    def pipeline(self, transaction: bool = True) -> Pipe:
        """Commands in one round trip for each node; a transaction has all of its keys in one slot."""
        with _as_redis_error():
            nodes: Any = self.nodes
            return Pipe(nodes, nodes.pipeline(transaction), self._scripts)


class Pipe:
    """Commands that wait to be sent: those that redis-py would refuse go to the node of their keys, too."""

    def __init__(self, nodes: Any, pipe: Any, scripts: dict[str, bytes]) -> None:
        self._nodes = nodes
        self._pipe = pipe
        self._scripts = scripts

    def __getattr__(self, name: str) -> Any:
        return _translated(getattr(self._pipe, name))

    def __enter__(self) -> Pipe:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.reset()

    def mget(self, keys: str | Sequence[str], *more: str) -> None:
        """Values of one slot."""
        self._pipe.execute_command("MGET", *([keys] if isinstance(keys, str) else keys), *more)

    def exists(self, *keys: str) -> None:
        """How many of these, of one slot."""
        self._pipe.execute_command("EXISTS", *keys)

    def delete(self, *keys: str) -> None:
        """Delete these, of one slot."""
        self._pipe.execute_command("DEL", *keys)

    def evalsha(self, sha: str, number: int, *keys_and_args: Any) -> None:
        """A registered script, whose keys have one slot; redis-py would ask a node which those are, for each."""
        node = self._nodes.get_node_from_key(keys_and_args[0])
        self._pipe.execute_command("EVAL", self._scripts[sha], number, *keys_and_args, target_nodes=node)

    def publish(self, channel: str, message: str) -> None:
        """As the client does."""
        self._pipe.execute_command("SPUBLISH" if "{" in channel else "PUBLISH", channel, message)
