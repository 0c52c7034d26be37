"""Records of people as tests change them."""

from __future__ import annotations

import json
from typing import Any

from redis import Redis

from warmer.keys import Keys


def change_record(redis: Redis, keys: Keys, person_id: int, **fields: Any) -> None:
    """Overwrite these fields of an existing record; its TTL stays."""
    record = json.loads(redis.get(keys.person(person_id)) or "")
    redis.set(keys.person(person_id), json.dumps(record | fields), keepttl=True)


def outdate(redis: Redis, keys: Keys, person_id: int) -> None:
    """Act as if the last lookup had been hours ago."""
    change_record(redis, keys, person_id, looked_up_at=0)
