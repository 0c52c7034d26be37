"""One worker per subject: a lease in Redis with a token, released only by its holder.

The claim is for efficiency, not for correctness: two fetches of one picture would be harmless, so this is a plain
`SET NX PX` and no Redlock. What is written under a claim checks the token in the same script.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from redis import Redis

from warmer.errors import NotMine
from warmer.keys import Keys, Lane
from warmer.state.scripts import load_script

LEASE_SECONDS = 30  # longer than a task's total deadline of 20 s
MAX_CRASHES = 3  # leases without an outcome before the subject counts as crashing


class Forgotten(NotMine):
    """The subject was forgotten: nothing may be written for it."""


def require_lease(answer: int) -> int:
    """What a script that writes under a claim answered; raises NotMine or Forgotten where it wrote nothing."""
    if answer == -2:
        raise Forgotten("forgotten while at it")
    if answer == 0:
        raise NotMine("the lease ran out")
    return answer


@dataclass(slots=True)
class Lease:
    """The right to work on a subject, for `LEASE_SECONDS`."""

    subject: str
    lane: Lane
    token: str
    crash_count: int  # leases without an outcome, this one included
    wanted: tuple[str, ...] = ()  # variants that somebody waited for when it was taken
    is_released: bool = False
    next_run: str | None = None  # the one that was scheduled with the lease, None where there was another already
    outcome: str = "done"  # one line, for the log and for Flower


class LeaseManager:
    """Takes and releases claims."""

    def __init__(self, redis: Redis, keys: Keys, lease_seconds: float = LEASE_SECONDS) -> None:
        self.redis = redis
        self.keys = keys
        self.lease_seconds = lease_seconds
        self._take = load_script(redis, "take_lease")
        self._release = load_script(redis, "release_lease")

    def check_needed(self, subject: str, lane: Lane) -> None:
        """Raises NotMine for a message that has been overtaken; what is due is always needed.

        A hot one whose `asked` is gone is stale: the client has its answer. Where the picture is known to be
        unavailable by now, another message brought that out.
        """
        if lane == "rewarm":
            return
        asked, unavailable = self.redis.mget(self.keys.enqueued(subject, lane), self.keys.unavailable(subject))
        if lane == "hot" and not asked:
            raise NotMine("stale, nobody waits any more")
        if unavailable:
            self.redis.delete(self.keys.enqueued(subject, lane))
            raise NotMine("known to be unavailable")

    def take(self, subject: str, lane: Lane) -> Lease:
        """Claim the subject.

        Raises NotMine where another worker holds it, and Forgotten.
        """
        keys = self.keys
        token = secrets.token_hex(8)
        attempt, *wanted = self._take(
            keys=[
                keys.lease(subject),
                keys.crashes(subject),
                keys.enqueued(subject, lane),
                keys.forgotten(subject),
                keys.wanted(subject),
            ],
            args=[token, int(self.lease_seconds * 1000)],
        )
        if attempt == -2:
            raise Forgotten("forgotten")
        if attempt == 0:
            raise NotMine("held by another worker")
        return Lease(subject, lane, token, int(attempt), _names(wanted))

    def rounds(self, lease: Lease) -> Iterator[tuple[str, ...]]:
        """The variants that are wanted: at first, and then as long as somebody asks meanwhile for others.

        The claim is released when nobody wants more, in the same step as the look, so that no wish falls between.
        """
        yield lease.wanted
        while wanted := self.release(lease, unless_wanted=True):
            yield wanted

    def release(self, lease: Lease, *, unless_wanted: bool = False) -> tuple[str, ...]:
        """Give the claim back; the variants that were asked for meanwhile, if any: the claim is then kept.

        Raises NotMine where the lease has run out, and Forgotten.
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
            raise Forgotten("forgotten while at it")
        if state == -1:
            raise NotMine("the lease ran out")
        lease.is_released = state == 0
        return _names(wanted)


def _names(answer: list[bytes]) -> tuple[str, ...]:
    return tuple(sorted(name.decode() for name in answer))
