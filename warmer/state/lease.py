"""One worker per subject: a lease in Redis with a token, released only by its holder.

The lease is for efficiency, not for correctness: two fetches of one picture would be harmless, so this is a plain
`SET NX PX` and no Redlock. A script that writes under a lease checks the token in the same step.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from redis import Redis

from warmer.errors import NotMine
from warmer.keys import Keys, Lane, Subject
from warmer.state.scripts import load_script

LEASE_SECONDS = 30  # longer than a job's total deadline of 20 s


class Forgotten(NotMine):
    """The subject was forgotten: nothing may be written for it."""


def require_lease(answer: int) -> int:
    """Check the answer of a script that writes under a lease. Raises NotMine or Forgotten if it wrote nothing."""
    if answer == -2:
        raise Forgotten("forgotten meanwhile")
    if answer == 0:
        raise NotMine("the lease expired")
    return answer


@dataclass(slots=True)
class Lease:
    """The right to work on a subject, for `LEASE_SECONDS`."""

    subject: Subject
    lane: Lane
    token: str
    crash_count: int  # leases without an outcome, this one included
    wanted: tuple[str, ...] = ()  # variants that clients waited for when it was taken
    is_released: bool = False


class LeaseManager:
    """Takes and releases leases."""

    def __init__(self, redis: Redis, keys: Keys, lease_seconds: float = LEASE_SECONDS) -> None:
        self.redis = redis
        self.keys = keys
        self.lease_seconds = lease_seconds
        self._take = load_script(redis, "take_lease")
        self._release = load_script(redis, "release_lease")

    def find_skip_reason(self, subject: Subject, lane: Lane) -> str | None:
        """Returns why the message needs no work any more, None if it does.

        A hot message whose `enqueued` marker is gone is stale: its client has an answer, or has left. A negative cache
        entry means that another message was handled first. A rewarm message is always needed.
        """
        if lane == "rewarm":
            return None
        enqueued, unavailable = self.redis.mget(self.keys.enqueued(subject, lane), self.keys.unavailable(subject))
        if lane == "hot" and not enqueued:
            return "stale, no client waits any more"
        if unavailable:
            self.redis.delete(self.keys.enqueued(subject, lane))
            return "known to be unavailable"
        return None

    def take(self, subject: str, lane: Lane) -> Lease:
        """Take the lease. Raises NotMine if another worker has it, and Forgotten."""
        keys = self.keys
        token = secrets.token_hex(8)
        crash_count, *wanted = self._take(
            keys=[
                keys.lease(subject),
                keys.crashes(subject),
                keys.enqueued(subject, lane),
                keys.forgotten(subject),
                keys.wanted(subject),
            ],
            args=[token, int(self.lease_seconds * 1000)],
        )
        if crash_count == -2:
            raise Forgotten("forgotten")
        if crash_count == 0:
            raise NotMine("held by another worker")
        return Lease(Subject(subject), lane, token, int(crash_count), _names(wanted))

    def iterate_wanted(self, lease: Lease) -> Iterator[tuple[str, ...]]:
        """Yield the variants that clients want: first those of the lease, then those that they asked for meanwhile.

        The lease is released in the same step that finds no more of them, so none can be lost in between.
        """
        yield lease.wanted
        while wanted := self.release(lease, unless_wanted=True):
            yield wanted

    def release(self, lease: Lease, *, unless_wanted: bool = False) -> tuple[str, ...]:
        """Release the lease. Returns an empty tuple.

        `unless_wanted`: keep it if clients asked for variants meanwhile, and return these. Raises NotMine if the lease
        has expired, and Forgotten.
        """
        keys, subject = self.keys, lease.subject
        state, *wanted = self._release(
            keys=[
                keys.lease(subject),
                keys.crashes(subject),
                keys.enqueued(subject, lease.lane),
                keys.wanted(subject),
                keys.forgotten(subject),
            ],
            args=[lease.token, int(unless_wanted)],
        )
        if state == -2:
            raise Forgotten("forgotten meanwhile")
        if state == -1:
            raise NotMine("the lease expired")
        lease.is_released = state == 0
        return _names(wanted)


def _names(answer: list[bytes]) -> tuple[str, ...]:
    return tuple(sorted(name.decode() for name in answer))
