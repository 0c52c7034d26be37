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
MAX_ATTEMPTS = 3  # claims without an outcome before the subject counts as crashing


class Forgotten(NotMine):
    """The subject was forgotten: nothing may be written for it."""


def require_claim(answer: int) -> int:
    """What a script that writes under a claim answered; raises NotMine or Forgotten where it wrote nothing."""
    if answer == -2:
        raise Forgotten("forgotten while at it")
    if answer == 0:
        raise NotMine("the lease ran out")
    return answer


@dataclass(slots=True)
class Claim:
    """The right to work on a subject, for `LEASE_SECONDS`."""

    subject: str
    lane: Lane
    token: str
    attempt: int  # 1 for the first claim since the last outcome
    wanted: tuple[str, ...] = ()  # variants that somebody waited for when it was taken
    is_released: bool = False
    turn: str | None = None  # in `due`, which it was given with the claim; None: it had one, for another reason
    outcome: str = "done"  # one line, for the log and for Flower


class Claims:
    """Takes and releases claims."""

    def __init__(self, redis: Redis, keys: Keys, lease_seconds: float = LEASE_SECONDS) -> None:
        self.redis = redis
        self.keys = keys
        self.lease_seconds = lease_seconds
        self._take = load_script(redis, "take_claim")
        self._release = load_script(redis, "release_claim")

    def check_needed(self, subject: str, lane: Lane) -> None:
        """Raises NotMine for a message that has been overtaken; what is due is always needed.

        A hot one whose `asked` is gone is stale: the client has its answer. Where the picture is known to be
        unavailable by now, another message brought that out.
        """
        if lane == "rewarm":
            return
        asked, unavailable = self.redis.mget(self.keys.asked(subject, lane), self.keys.unavailable(subject))
        if lane == "hot" and not asked:
            raise NotMine("stale, nobody waits any more")
        if unavailable:
            self.redis.delete(self.keys.asked(subject, lane))
            raise NotMine("known to be unavailable")

    def take(self, subject: str, lane: Lane) -> Claim:
        """Claim the subject.

        Raises NotMine where another worker holds it, and Forgotten.
        """
        keys = self.keys
        token = secrets.token_hex(8)
        attempt, *wanted = self._take(
            keys=[
                keys.claim(subject),
                keys.attempts(subject),
                keys.asked(subject, lane),
                keys.forgotten(subject),
                keys.wanted(subject),
            ],
            args=[token, int(self.lease_seconds * 1000)],
        )
        if attempt == -2:
            raise Forgotten("forgotten")
        if attempt == 0:
            raise NotMine("held by another worker")
        return Claim(subject, lane, token, int(attempt), _names(wanted))

    def rounds(self, claim: Claim) -> Iterator[tuple[str, ...]]:
        """The variants that are wanted: at first, and then as long as somebody asks meanwhile for others.

        The claim is released when nobody wants more, in the same step as the look, so that no wish falls between.
        """
        yield claim.wanted
        while wanted := self.release(claim, unless_wanted=True):
            yield wanted

    def release(self, claim: Claim, *, unless_wanted: bool = False) -> tuple[str, ...]:
        """Give the claim back; the variants that were asked for meanwhile, if any: the claim is then kept.

        Raises NotMine where the lease has run out, and Forgotten.
        """
        keys, subject = self.keys, claim.subject
        state, *wanted = self._release(
            keys=[
                keys.claim(subject),
                keys.attempts(subject),
                keys.asked(subject, claim.lane),
                keys.wanted(subject),
                keys.forgotten(subject),
            ],
            args=[claim.token, int(unless_wanted)],
        )
        if state == -2:
            raise Forgotten("forgotten while at it")
        if state == -1:
            raise NotMine("the lease ran out")
        claim.is_released = state == 0
        return _names(wanted)


def _names(answer: list[bytes]) -> tuple[str, ...]:
    return tuple(sorted(name.decode() for name in answer))
