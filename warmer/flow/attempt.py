"""One attempt at one subject: take the lease, do the work, and settle how it ended.

Recovery does not depend on the queue: before the lease is taken, the schedule gets a run for the moment after the lease
expires, and an outcome replaces that run. So the picture of a killed worker is warm within the lease and one tick.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from warmer.errors import (
    Crashed,
    GaveUp,
    InOutage,
    NotMine,
    Permanent,
    TemporarilyUnavailable,
    TokenRejected,
    Transient,
    UnknownRefusal,
    Unreachable,
    Unusable,
    WarmerError,
)
from warmer.flow.cross_check import CrossCheck
from warmer.flow.early import take_lease
from warmer.flow.outcome import Outcome
from warmer.flow.retry import (
    GROWS_AFTER,
    MAX_CRASHES,
    NEGATIVE_CACHE_MAX_SECONDS,
    RETRIES,
    RETRY_OF_MANY,
    Retry,
    choose_delay,
    get_kind,
    get_negative_cache_seconds,
    get_retry,
)
from warmer.keys import REFUSED, Lane, Subject
from warmer.state.budget import Budget
from warmer.state.failures import Failures
from warmer.state.lease import Forgotten, KnownUnavailable, Lease, LeaseManager, TooEarly
from warmer.state.outage import Outage
from warmer.state.people import People
from warmer.state.photos import PhotoStore
from warmer.state.refreshes import Refreshes
from warmer.state.schedule import Schedule, cancel_runs

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AttemptRunner:
    """Runs attempts, and carries out the retry policy."""

    leases: LeaseManager
    schedule: Schedule
    store: PhotoStore
    people: People
    refreshes: Refreshes
    failures: Failures
    outage: Outage
    budget: Budget
    cross_check: CrossCheck
    profile_check_seconds: int
    uniform: Callable[[float, float], float] = random.uniform  # a random number between two, to spread load

    def run(self, subject: Subject, lane: Lane, work: Callable[[Lease], Outcome]) -> Outcome:
        """Do the work under the lease. Returns its outcome, or the one that the retry policy has for its error.

        An error that is neither permanent nor transient is a bug and propagates: it counts as a crash, and the lease
        expires.
        """
        try:
            return self._run(subject, lane, work)
        except TooEarly as reason:
            self.schedule.schedule_by([subject], reason.seconds)  # the run after the lease would be too late
            if lane == "hot":
                self.store.announce(subject, "postponed")
            return Outcome("postponed", str(reason), reason.seconds)
        except KnownUnavailable as reason:
            self._schedule_after(subject, reason.seconds, reason.shown_by)
            self.store.announce(subject, "unavailable")
            return Outcome("skipped", str(reason))
        except Forgotten as reason:
            self.schedule.cancel(subject)
            self.failures.drop(subject)
            return Outcome("skipped", str(reason))
        except NotMine as reason:
            return Outcome("skipped", str(reason))

    def _run(self, subject: Subject, lane: Lane, work: Callable[[Lease], Outcome]) -> Outcome:
        lease = take_lease(subject, lane, self.leases, self.schedule, self.store)
        try:
            outcome = self._work(lease, work)
        except Permanent as error:
            return self._end_unavailable(lease, error)
        except Transient as error:
            return self._retry_or_give_up(lease, error)
        self._end_done(lease, outcome)
        return outcome

    def _work(self, lease: Lease, work: Callable[[Lease], Outcome]) -> Outcome:
        if lease.crash_count >= MAX_CRASHES:
            raise Crashed(f"{MAX_CRASHES} workers ended with it")
        try:
            return work(lease)  # of warmer/flow/warm.py, `warm_photo`, or warmer/flow/profile.py, `refresh_profile`
        except (WarmerError, RedisError):
            raise
        except Exception:  # a bug
            with suppress(NotMine, RedisError):  # or its traceback would be lost
                self.leases.count_crash(lease)
            raise

    def _end_unavailable(self, lease: Lease, error: Permanent) -> Outcome:
        subject = lease.subject
        self.failures.note(subject, error)
        first_seconds = get_negative_cache_seconds(error)
        seconds = self.store.put_unavailable(lease, error.cause, first_seconds, NEGATIVE_CACHE_MAX_SECONDS)
        self.refreshes.end(lease)
        self._schedule_after(subject, seconds, lease.shown_by)
        for person_id in self.people.list_following(subject):
            self.schedule.set(Subject.of_person(person_id), 0)  # the profile may show another picture by now
        self.leases.release(lease)
        self.store.announce(subject, "unavailable")
        log.warning("⚠️ %s is unavailable (%s) for %d s: %s", subject, error.cause, seconds, error)
        return Outcome("unavailable", f"{error.cause}, {error}")

    def _schedule_after(self, subject: Subject, seconds: float, shown_by: tuple[int, ...]) -> None:
        """Schedule the next run for the end of the negative cache entry, if the subject is kept warm."""
        if self.people.is_kept_warm(subject, shown_by):  # else `keep_newest` would set an earlier run
            self.schedule.set(subject, max(seconds, self.profile_check_seconds) if subject.is_person else seconds)
        else:
            self.schedule.cancel(subject)

    def _retry_or_give_up(self, lease: Lease, error: Transient) -> Outcome:
        retry, failures = self._count_failure(lease, error)
        if retry.max_tries is not None and failures >= retry.max_tries:
            return self._end_unavailable(lease, GaveUp(f"after {failures} tries, {error}"))
        seconds = choose_delay(error, retry, failures, self.uniform)
        if failures or retry.pause_seconds:
            self.leases.back_off(lease, seconds)
        if isinstance(error, TokenRejected):
            self.outage.note_failure(lease.subject, "halt")
        if self._can_drop(lease, retry, failures):
            self._drop(lease)
            outcome = Outcome("dropped", f"{error}, until a client asks again", seconds)
        else:
            self.schedule.set(lease.subject, seconds)
            outcome = Outcome("postponed", f"{error}, again in {seconds:.1f} s", seconds)
        if not lease.is_released:  # the flow releases it before the picture is announced
            self.leases.release(lease, keep_crash_count=True)
        if lease.lane == "hot" and retry.wakes_clients:
            self.store.announce(lease.subject, "postponed")
        return outcome

    def _count_failure(self, lease: Lease, error: Transient) -> tuple[Retry, int]:
        """Returns the retry, and how many failures of this subject there were in a row, 0 if it is none of them."""
        retry, subject = get_retry(error), lease.subject
        if retry.max_tries is None and not retry.pause_seconds:
            return retry, 0
        if not isinstance(error, InOutage):
            self.failures.note(subject, error)
        self.leases.back_off(lease, retry.pause_seconds or 1)  # raises if the lease is lost, before more is noted
        if isinstance(error, Unreachable):
            is_shared = self.outage.note_failure(subject, error.method)
            if isinstance(error, InOutage):
                return retry, 0
            retry, counts = self._judge(lease, error, retry, is_shared=is_shared)
            if not counts or self.budget.is_ill("getMe"):  # one subject alone cannot tell the two apart
                return RETRIES[Unreachable], 0
        if isinstance(error, TemporarilyUnavailable) and self.outage.note_failure(subject, REFUSED):
            retry = RETRY_OF_MANY
        kind = None if retry.max_tries is None else get_kind(error).__name__
        return retry, self.store.count_failure(lease, kind)

    def _judge(self, lease: Lease, error: Unreachable, retry: Retry, *, is_shared: bool) -> tuple[Retry, bool]:
        """Find out if Telegram is ill, or the subject. Returns the retry, and True if the failure counts.

        `is_shared`: several subjects fail. If they do for Telegram's sake, an outage begins.
        """
        is_unusable = isinstance(error, Unusable)
        if not is_shared and not is_unusable:
            return retry, True
        if lease.lane == "hot":
            self.store.announce(lease.subject, "postponed")  # the check may take seconds: no client waits for it
        result = self.cross_check.check(error.method, must_be_own=is_unusable)  # others may have no such proxy
        is_alone = result == "alone"
        if is_unusable and result in ("ill", "alone"):
            self.store.end_failures(lease.subject)
        if result == "ill" or (is_alone and is_shared and not isinstance(error, UnknownRefusal)):
            if is_shared:
                self.budget.begin_outage(error.method)
            return retry, False
        if is_alone and is_unusable:  # a captive portal or a proxy, or this picture
            return RETRIES[Unreachable], True
        return retry, result != "unknown"

    def _can_drop(self, lease: Lease, retry: Retry, failures: int) -> bool:
        """Returns True if only a client wants it, who asks again: retries of a flood would take minutes.

        A subject that keeps failing is dropped, too, unless it is kept warm.
        """
        wanted_by_client_only = lease.lane == "hot" and lease.next_run is not None and retry.drops_hot
        keeps_failing = retry.drops or (retry.max_tries is None and failures > GROWS_AFTER)
        return (wanted_by_client_only or keeps_failing) and not self.people.is_kept_warm(lease.subject, lease.shown_by)

    def _drop(self, lease: Lease) -> None:
        if lease.next_run is None:
            self.schedule.cancel(lease.subject)
        else:
            self.schedule.cancel_if(lease.subject, lease.next_run)  # a run that was scheduled meanwhile stays

    def _end_done(self, lease: Lease, outcome: Outcome) -> None:
        """Choose the next run, release the lease and wake the clients, in one round trip."""
        subject = lease.subject
        is_kept_warm = self.people.is_kept_warm(subject, lease.shown_by)
        pipe: Any = self.leases.redis.pipeline(transaction=False)
        self.outage.queue_clear(pipe)
        if subject.is_person:  # the negative cache of a picture ends when it is stored
            pipe.delete(*self.leases.keys.negatives(subject))
        if not is_kept_warm and outcome.is_partial:  # another message may have found the lease taken, and left a run
            self.schedule.queue_take_back(pipe, subject, lease.next_run, outcome.retry_seconds)
        elif not is_kept_warm:
            cancel_runs(pipe, self.leases.keys, [subject])
        elif subject.is_person:
            self.schedule.queue_set(pipe, subject, self.profile_check_seconds * self.uniform(0.9, 1.1))
        else:
            self.schedule.queue_set(pipe, subject, outcome.retry_seconds or self.store.ttl / 2)
        if lease.is_released:
            pipe.exists(self.leases.keys.forgotten(subject))
        else:
            self.leases.queue_release(pipe, lease)
        self.store.announce(subject, "done", pipe)
        *_, answer, _ = pipe.execute()
        if not lease.is_released:
            self.leases.read_release(lease, answer)
        elif answer:
            raise Forgotten("forgotten since it was released")  # or the next run would outlive the forgetting
