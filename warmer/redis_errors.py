"""Reads why a server refused a command, wherever it says so."""

from __future__ import annotations

import re

from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

AWAY = (
    ConnectionError,
    TimeoutError,
    ClusterDownError,
    TryAgainError,  # the slot is moving
    AskError,  # the slot has moved
    NoPermissionError,  # an operator can grant the right while we run
)
# The code of the server, for the classes of redis-py that name one; their text does not hold it.
CODES: dict[type[RedisError], str] = {
    OutOfMemoryError: "OOM",
    ReadOnlyError: "READONLY",
    BusyLoadingError: "LOADING",
}
CODES_AWAY = {
    "OOM", "READONLY", "LOADING",
    "MISCONF",  # it cannot write to its disk
    "NOREPLICAS",  # fewer replicas than min-replicas-to-write
    "BUSY",  # with a script
    "MASTERDOWN",
    "UNBLOCKED",  # it became a replica while a call waited
}  # fmt: skip
# A script lacks a right, from Redis 7.2 on and before.
DENIED_WITHIN_A_SCRIPT = ("ACL failure in script", "The user executing the script ")
# What redis-py and the server put before the refusal itself: in a pipeline, at the end of a transaction, and before
# Redis 7 for a script.
IN_A_PIPELINE = "of pipeline caused error: "
BEFORE = re.compile(
    r"(?:Transaction discarded because of: )?"
    r"(?:Error running script \(call to f_[0-9a-f]+\): @user_script:\s?\d+: (?:@user_script:\s?\d+: )?-?)?"
)


def find_code(error: RedisError) -> str:
    """Return the first word of the server's refusal, such as `OOM`. Returns an empty text if there is none."""
    for kind, code in CODES.items():
        if isinstance(error, kind):
            return code
    if not isinstance(error, ResponseError):
        return ""
    return _read_refusal(error).partition(" ")[0]


def is_away(error: RedisError) -> bool:
    """Returns True if Redis cannot serve now. Any other error is a mistake of ours."""
    if isinstance(error, AWAY) or find_code(error) in CODES_AWAY:
        return True
    return isinstance(error, ResponseError) and any(words in str(error) for words in DENIED_WITHIN_A_SCRIPT)


def is_full(error: RedisError) -> bool:
    """Returns True if Redis refused a command because it has no memory left."""
    return find_code(error) == "OOM"


def _read_refusal(error: ResponseError) -> str:
    said = str(error).rpartition(IN_A_PIPELINE)[2]
    return said[len(before[0]) :] if (before := BEFORE.match(said)) else said
