"""One worker per subject: a lease in Redis with a token, released only by its holder.

The lease is for efficiency, not for correctness: two fetches of one picture would be harmless, so this is a plain
`SET NX PX` and no Redlock. A script that writes under a lease checks the token in the same step.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError

from warmer.errors import NotMine
from warmer.keys import LEASE_SECONDS, Keys, Lane, Subject
from warmer.photo import VariantSpec
from warmer.state.schedule import Schedule
from warmer.state.scripts import load_script, queue


class Forgotten(NotMine):
    """The subject was forgotten: nothing may be written for it."""


class TooEarly(NotMine):
    """The last attempt failed: the next one starts after `seconds`."""

    def __init__(self, seconds: float, wanted: tuple[str, ...] = (), next_run: str | None = None) -> None:
        super().__init__(f"too early after a failure, again in {seconds:.1f} s")
        self.seconds = seconds
        self.wanted, self.next_run = wanted, next_run  # as in a lease


class KnownUnavailable(NotMine):
    """The subject is in the negative cache for `seconds` more: another message was handled first."""

    def __init__(self, seconds: float, shown_by: tuple[int, ...]) -> None:
        super().__init__("known to be unavailable")
        self.seconds = seconds
        self.shown_by = shown_by  # as in the lease


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
    crash_count: int  # leases whose decode ended its process, since the last outcome
    wanted: tuple[str, ...] = ()  # variants that clients waited for when it was taken
    next_run: str | None = None  # as `take` scheduled it, None if the subject had one before
    shown_by: tuple[int, ...] = ()  # the ids that show the picture, when the lease was taken
    is_released: bool = False
    refresh: str = ""  # token of the refresh that this lease is for: warmer/state/refreshes.py
    backoff_seconds: float = 0.0  # it was taken that early, so Telegram must not be called: warmer/flow/early.py


class LeaseManager:
    """Takes and releases leases."""

    def __init__(self, redis: Redis, keys: Keys, lease_seconds: float = LEASE_SECONDS) -> None:
        self.redis = redis
        self.keys = keys
        self.lease_seconds = lease_seconds
        self._take = load_script(redis, "lua/take_lease.lua")
        self._release = load_script(redis, "lua/release_lease.lua")
        self._set_leased = load_script(redis, "lua/set_leased.lua")
        self._count_crash = load_script(redis, "lua/count_crash.lua")
        self._not_taken_back: dict[str, Subject] = {}  # by token: crash counts to take back when Redis answers again

    def is_stale(self, subject: Subject, lane: Lane) -> bool:
        """Returns True for a hot message whose `enqueued` marker is gone: its client has an answer, or has left."""
        return lane == "hot" and not self.redis.exists(self.keys.enqueued(subject, lane))

    def take(
        self, subject: str, lane: Lane, schedule: Schedule | None = None, despite: TooEarly | None = None
    ) -> Lease:
        """Take the lease. Raises NotMine if another worker has it, TooEarly, KnownUnavailable, and Forgotten.

        `schedule`: gets a run for the moment after the lease expires, whatever the answer is, in the same round trip.
        `despite`: what an attempt to take it just now has raised.
        """
        keys, token = self.keys, secrets.token_hex(8)
        pipe: Any = self.redis.pipeline(transaction=False)
        if schedule:  # first: it lives in another slot than the lease, and a run too many does no harm
            schedule.queue_set(pipe, subject, self.lease_seconds + 1)
        names = [keys.lease(subject), keys.crashes(subject), keys.enqueued(subject, lane), keys.forgotten(subject)]
        names += [keys.wanted(subject), keys.backoff(subject), keys.unavailable(subject)]
        names += [keys.refresh(subject), keys.refreshed(subject)]
        args: list[str | int] = [token, int(self.lease_seconds * 1000), int(despite is not None)]
        queue(pipe, self._take, keys=names, args=args)  # lua/take_lease.lua
        pipe.smembers(keys.people(subject))
        *scheduled, taken, shown_by = answers = pipe.execute(raise_on_error=False)
        lease = self._read_take(taken, subject, lane, token)
        if failed := next((answer for answer in answers if isinstance(answer, Exception)), None):
            if lease:  # without a run in the schedule, the lease would be all that is left of the message
                self.release(lease, keep_crash_count=True)
            raise failed
        shown_by = tuple(map(int, shown_by))
        next_run = schedule.read_set(scheduled[0]) if schedule else None
        if lease is None:
            raise self._explain(taken, shown_by, next_run)
        lease.next_run, lease.shown_by = next_run, shown_by
        if despite:
            lease.next_run, lease.backoff_seconds = despite.next_run, despite.seconds
        return lease

    @staticmethod
    def _explain(taken: Any, shown_by: tuple[int, ...], next_run: str | None) -> NotMine:
        if taken[0] == -4:
            return KnownUnavailable(int(taken[1]) / 1000, shown_by)
        if taken[0] == -3:
            return TooEarly(int(taken[1]) / 1000, _names(taken[2:]), next_run)
        return Forgotten("forgotten") if taken[0] == -2 else NotMine("held by another worker")

    @staticmethod
    def _read_take(answer: Any, subject: str, lane: Lane, token: str) -> Lease | None:
        if isinstance(answer, Exception) or answer[0] <= 0:
            return None
        _, crash_count, refresh, *wanted = answer
        return Lease(Subject(subject), lane, token, int(crash_count), _names(wanted), refresh=refresh.decode())

    def back_off(self, lease: Lease, seconds: float) -> None:
        """Let no attempt start for so long, whichever lane its message is in. Raises NotMine and Forgotten."""
        keys = [self.keys.lease(lease.subject), self.keys.forgotten(lease.subject), self.keys.backoff(lease.subject)]
        require_lease(self._set_leased(keys=keys, args=[lease.token, max(1, int(seconds * 1000)), "1"]))

    def is_backing_off(self, subject: str) -> bool:
        """Returns True if no attempt starts before the backoff of this subject is over."""
        return bool(self.redis.exists(self.keys.backoff(subject)))

    def count_crash(self, lease: Lease) -> set[VariantSpec]:
        """Count this lease among the crashes, once. Returns the variants that clients wait for, read in the same step.

        Raises NotMine and Forgotten.
        """
        keys, subject = self.keys, lease.subject
        names = [keys.lease(subject), keys.forgotten(subject), keys.crashes(subject), keys.wanted(subject)]
        state, *wanted = self._count_crash(keys=names, args=[lease.token])
        require_lease(state)
        return VariantSpec.parse_all(_names(wanted))

    @contextmanager
    def counting_crash(self, lease: Lease) -> Iterator[set[VariantSpec]]:
        """Count a crash before the block, and take it back if the block fails: it stays if the process ends in it.

        A block that succeeds stores the picture, which deletes the count. Yields the variants that clients wait for.
        """
        try:
            yield self.count_crash(lease)
        except Exception:
            self._not_taken_back[lease.token] = lease.subject
            with suppress(RedisError):
                self._take_back_crash(lease.token, lease.subject)
            raise

    def take_back_crashes(self) -> None:
        """Take back the crashes that `counting_crash` could not, because Redis was away. Raises RedisError."""
        for token, subject in list(self._not_taken_back.items()):
            self._take_back_crash(token, subject)

    def _take_back_crash(self, token: str, subject: Subject) -> None:
        """Without the lease, which may have expired: no other worker counts this token."""
        self.redis.srem(self.keys.crashes(subject), token)
        self._not_taken_back.pop(token, None)

    def iterate_wanted(self, lease: Lease) -> Iterator[tuple[str, ...]]:
        """Yield the variants that clients want: first those of the lease, then those that they asked for meanwhile.

        The lease is released in the same step that finds no more of them, so none can be lost in between.
        """
        yield lease.wanted
        while wanted := self.release(lease, unless_wanted=True):
            yield wanted

    def release(self, lease: Lease, *, unless_wanted: bool = False, keep_crash_count: bool = False) -> tuple[str, ...]:
        """Release the lease and delete the crash count. Returns an empty tuple.

        `unless_wanted`: keep both if clients asked for variants meanwhile, and return these. `keep_crash_count`: the
        picture was not decoded. Raises NotMine if the lease has expired, and Forgotten.
        """
        call = self._release_call(lease, unless_wanted, keep_crash_count)
        return self.read_release(lease, self._release(**call))

    def queue_release(self, pipe: Pipeline, lease: Lease) -> None:
        """Add the release of the lease to a pipeline. `read_release` reads the answer."""
        queue(pipe, self._release, **self._release_call(lease, unless_wanted=False, keep_crash_count=False))

    def read_release(self, lease: Lease, answer: Any) -> tuple[str, ...]:
        """Read the answer to `queue_release`. Returns and raises what `release` does."""
        state, *wanted = answer
        if state == -2:
            raise Forgotten("forgotten meanwhile")
        if state == -1:
            raise NotMine("the lease expired")
        lease.is_released = state == 0
        return _names(wanted)

    def _release_call(self, lease: Lease, unless_wanted: bool, keep_crash_count: bool) -> dict[str, Any]:
        keys, subject = self.keys, lease.subject
        names = [keys.lease(subject), keys.crashes(subject), keys.enqueued(subject, lease.lane)]
        names += [keys.wanted(subject), keys.forgotten(subject)]
        return {"keys": names, "args": [lease.token, int(unless_wanted), int(keep_crash_count)]}


def _names(answer: list[bytes]) -> tuple[str, ...]:
    return tuple(sorted(name.decode() for name in answer))
