"""Finds the rights that the ACL of Redis denies: tries each command, on keys and a channel that hold nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from redis import ConnectionPool, Redis
from redis.client import PubSub
from redis.exceptions import NoPermissionError, NoScriptError

from warmer.keys import RIGHTS_SECONDS, Keys

# One command of each kind that the service or kombu sends, on one key of each type. Each type has an EXPIRE: the user
# may have the right to add a value, and none to remove it.
_EXPIRE = ("EXPIRE", RIGHTS_SECONDS)
COMMANDS: dict[str, tuple[tuple[Any, ...], ...]] = {
    "string": (
        ("SET", "1", "EX", RIGHTS_SECONDS), ("GET",), ("MGET",), ("GETRANGE", 0, 0), ("STRLEN",), ("EXISTS",),
        ("INCR",), _EXPIRE, ("TTL",), ("GETDEL",), ("DEL",), ("UNLINK",),
    ),
    "sorted": (("ZADD", 1, "1"), _EXPIRE, ("ZRANGE", 0, 0), ("ZREVRANK", "1"), ("ZCARD",), ("ZREM", "1")),
    "set": (("SADD", "1"), _EXPIRE, ("SMEMBERS",), ("SREM", "1")),
    "hash": (("HSET", "1", "1"), _EXPIRE, ("HGETALL",), ("HINCRBY", "1", 1), ("HDEL", "1")),
    "list": (
        ("LPUSH", "1"), ("RPUSH", "1"), _EXPIRE, ("LLEN",), ("LINDEX", 0), ("LRANGE", 0, 0), ("LPOP",), ("RPOP",),
    ),
}  # fmt: skip


def list_denied(redis: Redis, keys: Keys) -> tuple[str, ...]:
    """Return the rights that are missing, as `ACL SETUSER` spells them: `+eval`, `&v2:<bot id>:*`. Raises RedisError.

    One round trip, and a subscription.
    """
    found: list[str] = []
    pipe: Any = redis.pipeline(transaction=False)
    for kind, commands in COMMANDS.items():
        for name, *arguments in commands:
            pipe.execute_command(name, f"{keys.probe}:{kind}", *arguments)
    pipe.execute_command("EVALSHA", "0" * 40, 1, keys.probe)  # of a script that no server has
    pipe.eval(b"return redis.call('TIME')", 1, keys.probe)
    pipe.publish(keys.done, "")
    for answer in pipe.execute(raise_on_error=False):
        _note(answer, keys, found)
    try:
        with redis.pubsub() as channel:  # type: ignore[no-untyped-call]  # untyped in redis-py
            channel.subscribe(keys.done)
            channel.get_message(timeout=0.3)
    except NoPermissionError as error:
        _note(error, keys, found)
    return tuple(found)


def list_denied_patterns(pool: ConnectionPool, patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the rights that are missing to subscribe to each of these patterns. Raises RedisError.

    Redis compares a pattern with those of the user letter by letter: a wider one of the user's does not suffice.
    """
    found: list[str] = []
    for pattern in patterns:
        try:
            with PubSub(pool) as channel:
                channel.psubscribe(pattern)
                channel.get_message(timeout=0.3)
        except NoPermissionError as error:
            found.append(_name_command(str(error)) or f"&{pattern}")
    return tuple(dict.fromkeys(found))


def _note(answer: object, keys: Keys, found: list[str]) -> None:
    """Add the right whose lack this answer shows. Raises any error that is about something else."""
    if isinstance(answer, NoPermissionError):
        refusal = str(answer)
        place = f"{'&' if 'channel' in refusal else '~'}{keys.prefix}*"
        if (right := _name_command(refusal) or place) not in found:
            found.append(right)
    elif isinstance(answer, Exception) and not isinstance(answer, NoScriptError):
        raise answer


def _name_command(refusal: str) -> str:
    """Return the right to the refused command. Returns an empty text if its key or its channel is refused."""
    command = re.search(r"the '([\w|]+)' command", refusal)
    return f"+{command[1]}" if command else ""
