"""The code of a refusal is found in whatever form the versions of Redis and redis-py wrap it."""

from __future__ import annotations

import pytest
from redis import Redis
from redis._parsers.base import BaseParser  # the texts arrive through it
from redis.exceptions import RedisError, TimeoutError

from warmer.redis_errors import find_code, is_away, is_full

OOM = "OOM command not allowed when used memory > 'maxmemory'."
REPLICA = "READONLY You can't write against a read only replica."
SCRIPT_OF_REDIS_6 = "ERR Error running script (call to f_c5ef62a9c8ff): @user_script:5: @user_script: 5: -"
SCRIPT_OF_REDIS_7 = " script: c5ef62a9c8ff, on @user_script:5."


def parse(refusal: str) -> RedisError:
    error = BaseParser.parse_error(refusal)  # type: ignore[no-untyped-call]  # untyped in redis-py
    assert isinstance(error, RedisError)
    return error


def annotate(error: RedisError, *command: str) -> None:
    """As a pipeline of redis-py does."""
    Redis().pipeline().annotate_exception(error, 1, command)  # type: ignore[no-untyped-call]  # untyped in redis-py


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (OOM, "OOM"),
        (OOM + SCRIPT_OF_REDIS_7, "OOM"),
        (SCRIPT_OF_REDIS_6 + OOM, "OOM"),
        (f"EXECABORT Transaction discarded because of: {OOM}", "OOM"),
        (REPLICA, "READONLY"),
        (SCRIPT_OF_REDIS_6 + REPLICA, "READONLY"),
        ("ERR Error running script (call to f_c5ef62a9c8ff): @user_script:5: -" + REPLICA, "READONLY"),
        ("NOREPLICAS Not enough good replicas to write.", "NOREPLICAS"),
        (f"{SCRIPT_OF_REDIS_6}NOREPLICAS Not enough good replicas to write.", "NOREPLICAS"),
        ("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", "BUSY"),
        ("MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist.", "MISCONF"),
        ("LOADING Redis is loading the dataset in memory", "LOADING"),
    ],
)
def test_a_server_that_refuses_for_now_is_away(refusal: str, code: str) -> None:
    error = parse(refusal)
    assert (find_code(error), is_away(error), is_full(error)) == (code, True, code == "OOM")
    annotate(error, "SET", "a", "b")
    assert (find_code(error), is_away(error)) == (code, True)


@pytest.mark.parametrize(
    "refusal",
    [
        "WRONGTYPE Operation against a key holding the wrong kind of value",
        f"{SCRIPT_OF_REDIS_6}WRONGTYPE Operation against a key holding the wrong kind of value",
        "ERR value is not an integer or out of range",
        "BUSYGROUP Consumer Group name already exists",
        "EXECABORT Transaction discarded because of previous errors.",
        f"{SCRIPT_OF_REDIS_6.removesuffix('-')} attempt to index a nil value, {OOM}",
    ],
)
def test_a_mistake_of_ours_is_no_outage(refusal: str) -> None:
    error = parse(refusal)
    assert not is_away(error)
    annotate(error, "SET", "a", "OOM of pipeline caused error: OOM")
    assert not is_away(error)


def test_a_server_that_does_not_answer_is_away_without_a_code() -> None:
    error = TimeoutError("Timeout reading from socket")
    assert (find_code(error), is_away(error)) == ("", True)
