"""Lists of the newest people in the memory of web processes: they say so here, and a registration waits for them.

A process writes the note `remembered`, then it reads what a list shows: the places, the records, the negative cache. A
registration writes these, then it looks for the note. If there is none, each older list has expired, and each later one
shows the registration. If it is there, the registration waits until every process has acknowledged
(warmer/flow/forget.py). So no client that registers gets an older list afterwards, whichever process answers. Only if
Redis loses the note, by an eviction or a failover, or a process its subscription without a sign, can an older list be
shown: until the process hears the purge, and no longer than LIST_SECONDS.
"""

from __future__ import annotations

from typing import Any

from redis import Redis

from warmer.keys import REMEMBERED_SECONDS, Keys

LIST_SECONDS = 1.0  # a list is remembered at most this long


def read_ids_to_remember(redis: Redis, keys: Keys, limit: int) -> tuple[list[int], bool]:
    """Return the ids of the newest registered people, the newest first, in one round trip that first writes the note.

    Returns False beside them if Redis took no note: no process may remember a list of them then.
    """
    pipe: Any = redis.pipeline(transaction=False)  # both keys share a slot, so a cluster keeps the order
    pipe.set(keys.remembered, "1", px=int(REMEMBERED_SECONDS * 1000))
    pipe.zrange(keys.recent, 0, limit - 1, desc=True)
    noted, members = pipe.execute(raise_on_error=False)
    if isinstance(members, Exception):
        raise members
    return [int(member) for member in members], not isinstance(noted, Exception)


class Look:
    """Looks for the note when a registration is written."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self.redis = redis
        self.keys = keys
        self.has_found = False

    def execute(self, pipe: Any) -> list[Any]:
        """Execute the pipeline that writes the registration, then look. Returns the answers without that of the look.

        The look is its last command. The nodes of a cluster take a pipeline in any order, and the record may be on
        another one than the note, so the look follows there in a round trip of its own.
        """
        if getattr(self.redis, "has_slots", False):
            answers, found = list(pipe.execute()), self.redis.exists(self.keys.remembered)
        else:
            pipe.exists(self.keys.remembered)
            *answers, found = pipe.execute()
        self.has_found = bool(found)
        return answers
