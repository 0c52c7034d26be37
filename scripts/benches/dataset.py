"""Partners and pictures, written directly into Redis in the service's own layout."""

from __future__ import annotations

import json
import random
import time
from dataclasses import asdict

from redis import Redis
from redis.client import Pipeline

from faketelegram import ids
from warmer.etag import pack
from warmer.keys import Keys, Subject
from warmer.settings import Settings
from warmer.state.people import RECENT_CAP
from warmer.state.person import Person

BODY_BYTES = 200
PREVIEW = "data:image/webp;base64," + "A" * 160
TTL: int = Settings.model_fields["photo_ttl"].default
SIZES: tuple[int, ...] = Settings.model_fields["photo_sizes"].default
KEPT: int = Settings.model_fields["rewarm_partners"].default  # the newest partners are scheduled
AT_ONCE = 500  # partners in one pipeline


def write_partners(redis: Redis, keys: Keys, number: int) -> None:
    """Write `number` partners with warm pictures; the newest are scheduled for later."""
    rng = random.Random(number)  # noqa: S311 - content, not secrets
    now = int(time.time())
    for start in range(0, number, AT_ONCE):
        pipe = redis.pipeline(transaction=False)
        for place in range(start, min(start + AT_ONCE, number)):
            _add_partner(pipe, keys, place, now, rng, is_kept=place >= number - KEPT)
        pipe.execute()
    redis.zremrangebyrank(keys.recent, 0, -1 - RECENT_CAP)  # as a registration does


def _add_partner(pipe: Pipeline, keys: Keys, place: int, now: int, rng: random.Random, *, is_kept: bool) -> None:
    file_id, unique_id = ids.file_id("dataset", place), ids.file_unique_id("dataset", place)
    person = Person(
        id=7_000_000_000 + place,
        name=f"Partner {place}",
        joined_us=now * 1_000_000 + place,
        photo_file_id=file_id,
        photo_unique_id=unique_id,
        looked_up_at=now,
    )
    for size in SIZES:
        pipe.set(keys.variant(file_id, size, "webp"), pack(rng.randbytes(BODY_BYTES)), ex=TTL)
    pipe.set(keys.preview(file_id), json.dumps({"preview": PREVIEW, "unique_id": unique_id}), ex=TTL)
    pipe.sadd(keys.people(file_id), person.id)
    pipe.set(keys.person(person.id), json.dumps(asdict(person)))
    pipe.zadd(keys.recent, {str(person.id): now * 1_000_000 + place})
    if is_kept:
        next_run = now + 3600 + place
        pipe.zadd(keys.schedule, {file_id: next_run, Subject.of_person(person.id): next_run})
