"""Lists of the newest people in the memory of web processes: they say so here, and a registration waits for them.

A process writes a note before it reads a list to remember. So a registration that finds no note is in every list that
any process remembers. One that finds the note waits until every process has acknowledged (warmer/flow/forget.py). No
client that registers gets an older list afterwards, whichever process answers.
"""

from __future__ import annotations

from typing import Any

from redis import Redis

from warmer.keys import REMEMBERED_SECONDS, Keys

LIST_SECONDS = 1.0  # a list is remembered at most this long


class RememberedLists:
    """The note that some process remembers a list."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self.redis = redis
        self.keys = keys

    def read_ids(self, limit: int) -> tuple[list[int], bool]:
        """The ids of the newest registered people, the newest first, in one round trip that first writes the note.

        Returns False beside them if Redis took no note: no process may remember a list of them then.
        """
        pipe: Any = self.redis.pipeline(transaction=False)  # both keys share a slot, so a cluster keeps the order
        pipe.set(self.keys.remembered, "1", px=int(REMEMBERED_SECONDS * 1000))
        pipe.zrange(self.keys.recent, 0, limit - 1, desc=True)
        noted, members = pipe.execute(raise_on_error=False)
        if isinstance(members, Exception):
            raise members
        return [int(member) for member in members], not isinstance(noted, Exception)

    def may_exist(self) -> bool:
        """Returns False if no process remembers a list that was read before now."""
        return bool(self.redis.exists(self.keys.remembered))
