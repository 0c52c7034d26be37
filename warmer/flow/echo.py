"""Whether every web process has heard what was announced: who echoes has heard all that came earlier."""

from __future__ import annotations

import secrets
import time

from redis import Redis

from warmer.keys import Keys

HEARD_SECONDS = 0.5  # at most so long a forgetting waits for the web processes
POP_SECONDS = 0.1  # shorter than the read time-out of the web's connections


def wait_until_heard(redis: Redis, keys: Keys) -> bool:
    """Wait until every web process has heard what was announced before; whether they all have, in time.

    A connection gets its messages in their order: an echo comes after all of them.
    """
    key = keys.heard(secrets.token_hex(8))
    end = time.monotonic() + HEARD_SECONDS
    # Whoever listens to everything counts here, and echoes nothing. PUBSUB NUMSUB would tell them apart, but in
    # Valkey 9.1.2 it answers nonsense for eight listeners.
    missing = redis.publish(keys.echo, key)
    while missing > 0 and time.monotonic() < end:
        if redis.blpop([key], POP_SECONDS):
            missing -= 1
    return missing <= 0
