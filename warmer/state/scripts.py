"""The Lua scripts beside this module: what has to happen in Redis in one step."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis import Redis
    from redis.commands.core import Script


def load_script(redis: Redis, path: str) -> Script:
    """Return the script at this path beside this module. Call it with keys and args. Redis caches it by its hash."""
    return redis.register_script((files("warmer.state") / path).read_bytes())


def queue(pipe: Any, script: Script, *, keys: Sequence[str], args: Sequence[Any]) -> None:
    """Add the script to a pipeline, with its text: redis-py would first ask Redis, in a round trip, if it knows it."""
    pipe.eval(script.script, len(keys), *keys, *args)
