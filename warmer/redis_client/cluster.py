"""A Redis Cluster behind the interface of `redis.Redis`, as far as this project asks for it.

What differs is here, and nowhere else: redis-py's client connects when it is made, raises errors of another family,
refuses commands in pipelines that it could route, and knows no command of several slots.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from threading import Lock
from traceback import walk_tb
from typing import Any

from redis import Redis, RedisCluster
from redis.cluster import PipelineCommand
from redis.commands.core import Script
from redis.exceptions import (
    AskError,
    ClusterError,
    ConnectionError,
    NoScriptError,
    RedisClusterException,
    RedisError,
    TryAgainError,
)

CLOCK = b"return redis.call('TIME')"
AWAY_SECONDS = 1.0  # between a failed connection and the next attempt
UNSAFE = (AttributeError, LookupError, RuntimeError, TypeError, ValueError)  # where redis-py is not thread-safe
log = logging.getLogger(__name__)


@contextmanager
def _as_redis_error() -> Iterator[None]:
    """Turn a cluster that cannot be reached into the error of a server that cannot be reached.

    redis-py fails with one of UNSAFE if a node leaves its table, or the table changes, between two reads, or if another
    thread closes an idle connection when this one takes it. An error that begins here, such as that of a call with too
    many arguments, stays as it is.
    """
    try:
        yield
    except (RedisClusterException, ClusterError) as error:
        raise ConnectionError(f"the cluster is away ({type(error).__name__})") from error
    except UNSAFE as error:
        *_, (frame, line) = walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__") == __name__:
            raise
        log.warning("redis-py failed: %s in %s, line %d", type(error).__name__, frame.f_code.co_qualname, line)
        raise ConnectionError(f"the cluster is away ({type(error).__name__})") from error


def _translated(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def run(*args: Any, **options: Any) -> Any:
        with _as_redis_error():
            return call(*args, **options)

    return run


def list_infos(redis: Redis, section: str) -> list[dict[str, Any]]:
    """Return the INFO of each server that holds a part of the data."""
    client: Any = redis
    if not isinstance(client, Cluster):
        return [client.info(section)]
    nodes: Any = client.nodes
    return [nodes.get_redis_connection(node).info(section) for node in nodes.get_primaries()]


class Cluster:
    """A client that connects with its first command.

    `anchor` is a key: the instants of all keys are read from the clock of the node that holds it.
    """

    has_slots = True

    def __init__(
        self, connect: Callable[[], RedisCluster], anchor: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._make = connect
        self._anchor = anchor
        self._lock = Lock()
        self._nodes: RedisCluster | None = None
        self._monotonic = clock
        self._away_until = 0.0  # by that clock
        self._scripts: dict[str, bytes] = {}  # by their hash
        self._clock = self.register_script(CLOCK)

    def __getattr__(self, name: str) -> Any:
        """Any other command, as redis-py has it."""
        return _translated(getattr(self.nodes, name))

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def nodes(self) -> RedisCluster:
        """redis-py's client. Raises ConnectionError if no node answers."""
        return self.connect()

    def connect(self) -> RedisCluster:
        """Return redis-py's client. The first call finds out where every slot is. Raises ConnectionError."""
        if self._nodes is not None:
            return self._nodes
        with self._lock, _as_redis_error():
            if self._nodes is None:
                self._nodes = self._connect_unless_away()
            return self._nodes

    def _connect_unless_away(self) -> RedisCluster:
        """Connect, unless another thread failed to a moment ago: each attempt asks every node."""
        if self._monotonic() < self._away_until:
            raise ConnectionError("the cluster was away a moment ago")
        try:
            return self._make()
        except (RedisClusterException, RedisError, OSError):
            self._away_until = self._monotonic() + AWAY_SECONDS
            raise

    def close(self) -> None:
        """Close every connection."""
        if self._nodes is not None:
            self._nodes.close()

    def register_script(self, text: str | bytes) -> Script:
        """Register a script. A pipeline sends its text, since a node may not know it."""
        text = text.encode() if isinstance(text, str) else text
        script = Script(self, text)  # type: ignore[arg-type]  # it asks its client for EVALSHA and SCRIPT LOAD alone
        self._scripts[script.sha] = text
        return script

    @_translated
    def evalsha(self, sha: str, number: int, *keys_and_args: Any) -> Any:
        """Run a registered script. A node that does not know it gets its text, and no other node is asked."""
        nodes: Any = self.nodes
        try:
            return nodes.evalsha(sha, number, *keys_and_args)
        except NoScriptError:
            return nodes.execute_command("EVAL", self._scripts[sha], number, *keys_and_args)

    def time(self) -> tuple[int, int]:
        """Return the time of one node, the same for every process: seconds, microseconds."""
        seconds, micros = self._clock(keys=[self._anchor])
        return int(seconds), int(micros)

    @_translated
    def mget(self, keys: str | Sequence[str], *more: str) -> list[bytes | None]:
        """Return values of several slots, in one round trip for each node."""
        names = [keys, *more] if isinstance(keys, str) else [*keys, *more]
        return list(self.nodes.mget_nonatomic(names))

    @_translated
    def publish(self, channel: str, message: str) -> int:
        """Publish to every subscriber. Returns their number, which is right if the channel has a slot."""
        command = "SPUBLISH" if "{" in channel else "PUBLISH"
        return int(self.nodes.execute_command(command, channel, message))  # type: ignore[no-untyped-call]  # as above

    def pipeline(self, transaction: bool = True) -> Pipe:
        """Return a pipeline: one round trip for each node. A transaction has all of its keys in one slot."""
        return Pipe(self.nodes, transaction, self._anchor)


class Pipe:
    """Commands that wait to be sent, at once to every node.

    redis-py refuses some that it could route. And what a node did not answer in time it would send again, each by
    itself: a `SET NX` that had come through would then seem refused, and every one would wait as long again.
    """

    def __init__(self, nodes: Any, transaction: bool, anchor: str) -> None:
        with _as_redis_error():
            self._pipe = nodes.pipeline(transaction)
        self._nodes = nodes
        self._is_transaction = transaction
        self._anchor = anchor

    def __getattr__(self, name: str) -> Any:
        return _translated(getattr(self._pipe, name))

    def __enter__(self) -> Pipe:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.reset()

    @_translated
    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Return the answers, in the order of the commands. A key that has moved is asked for at its new node."""
        if self._is_transaction:
            return list(self._pipe.execute(raise_on_error))
        waiting = self._pipe._execution_strategy.command_queue  # private in redis-py
        answers = self._pipe.send_cluster_commands(waiting, raise_on_error=False, allow_redirections=False)
        self._pipe.reset()
        for place, command in enumerate(waiting):
            if isinstance(answers[place], (AskError, TryAgainError)):
                answers[place] = self._ask_again(command)
        failed = next((answer for answer in answers if isinstance(answer, Exception)), None)
        if failed and raise_on_error:
            raise failed
        return list(answers)

    def _ask_again(self, command: PipelineCommand) -> Any:
        try:
            return self._nodes.execute_command(*command.args, **command.options)
        except RedisError as error:
            return error

    def mget(self, keys: str | Sequence[str], *more: str) -> None:
        """Add MGET for values of one slot."""
        self._pipe.execute_command("MGET", *([keys] if isinstance(keys, str) else keys), *more)

    def exists(self, *keys: str) -> None:
        """Add EXISTS, which counts these keys of one slot."""
        self._pipe.execute_command("EXISTS", *keys)

    def delete(self, *keys: str) -> None:
        """Add DEL for these keys of one slot."""
        self._pipe.execute_command("DEL", *keys)

    def unlink(self, *keys: str) -> None:
        """Add UNLINK for these keys of one slot: it does not wait until their memory is free."""
        self._pipe.execute_command("UNLINK", *keys)

    @_translated
    def eval(self, text: bytes, number: int, *keys_and_args: Any) -> None:
        """Add a script whose keys share a slot. For each, redis-py would ask a node which keys those are."""
        node = self._nodes.get_node_from_key(keys_and_args[0])
        self._pipe.execute_command("EVAL", text, number, *keys_and_args, target_nodes=node)

    def time(self) -> None:
        """Add TIME of the client's one node. The answer is two texts: seconds and microseconds."""
        self.eval(CLOCK, 1, self._anchor)

    def publish(self, channel: str, message: str) -> None:
        """Add PUBLISH, or SPUBLISH if the channel has a slot."""
        self._pipe.execute_command("SPUBLISH" if "{" in channel else "PUBLISH", channel, message)
