"""One worker per subject, and what becomes of whatever happens while it holds it.

Recovery does not depend on the queue: `due` says "again at the end of the lease" before the claim is taken, and an
outcome replaces that. A killed worker's photo is thus warm within lease + tick.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from warmer.errors import Busy, Crashed, GaveUp, NotMine, Paused, Permanent, Postponed, TokenRejected, Transient
from warmer.keys import Lane, user_of, user_subject
from warmer.photo import Unavailable
from warmer.state.failures import Failures
from warmer.state.lease import MAX_CRASHES, Forgotten, Lease, LeaseManager
from warmer.state.partners import PartnerDirectory
from warmer.state.photos import PhotoStore
from warmer.state.schedule import Schedule

BACKOFF_MAX_SECONDS = 600
POSTPONE_SPREAD = (1.0, 1.1)  # factors on a wait that the budget or a pause asks for
log = logging.getLogger(__name__)


class Attempts:
    """Claims subjects, and turns the errors of the work into outcomes that are remembered."""

    def __init__(
        self,
        leases: LeaseManager,
        schedule: Schedule,
        store: PhotoStore,
        partners: PartnerDirectory,
        failures: Failures,
        profile_check_seconds: int,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`uniform`: a random number between two, which spreads load and hides nothing."""
        self.leases = leases
        self.schedule = schedule
        self.store = store
        self.partners = partners
        self.failures = failures
        self.profile_check_seconds = profile_check_seconds
        self._uniform = uniform

    @contextmanager
    def __call__(self, subject: str, lane: Lane) -> Iterator[Lease]:
        """Hold the subject in this block. A Permanent error is remembered, a Transient one tried again later.

        Raises NotMine where there is nothing to do: held elsewhere, stale, forgotten, or given up after crashes. Any
        other error leaves the claim to its lease, and counts as a crash.
        """
        try:
            lease = self._take(subject, lane)
            try:
                yield lease
            except Permanent as error:
                self._remember(lease, error)
            except Transient as error:
                self._try_later(lease, error)
            else:
                self._plan(lease)
                self.store.announce(subject, "done")
        except Forgotten:
            self.schedule.cancel(subject)
            self.failures.drop(subject)
            raise

    def _take(self, subject: str, lane: Lane) -> Lease:
        # `due` first, claim second: they live in different slots, and a second too late loses nothing.
        turn = self.schedule.set(subject, self.leases.lease_seconds + 1)
        lease = self.leases.take(subject, lane)
        lease.next_run = turn
        if lease.crash_count > MAX_CRASHES:
            self._remember(lease, Crashed(f"{MAX_CRASHES} workers ended with it"))
            raise NotMine("given up: it ended its worker three times")
        return lease

    def _remember(self, lease: Lease, error: Permanent) -> None:
        self.failures.note(lease.subject, error)
        seconds = self.store.put_unavailable(lease, error)
        if self.partners.is_kept_warm(lease.subject):  # a turn of its own, or `keep_newest` gives an earlier one
            is_profile = user_of(lease.subject) is not None
            self.schedule.set(lease.subject, max(seconds, self.profile_check_seconds) if is_profile else seconds)
        else:
            self.schedule.cancel(lease.subject)
        for partner_id in self.partners.list_following(lease.subject):
            self.schedule.set(
                user_subject(partner_id), 0
            )  # a file id may be dead because the profile shows another now
        self.leases.release(lease)
        self.store.announce(lease.subject, "unavailable")
        lease.outcome = f"unavailable: {error.cause}, {error}"
        log.warning("⚠️ %s is unavailable (%s) for %d s: %s", lease.subject, error.cause, seconds, error)

    def _try_later(self, lease: Lease, error: Transient) -> None:
        if isinstance(error, Postponed | Busy | Paused | TokenRejected):
            seconds = (error.retry_after or 1) * self._uniform(*POSTPONE_SPREAD)
        else:
            self.failures.note(lease.subject, error)
            failures = self.store.count_failure(lease)
            if failures >= error.tries:
                self._remember(lease, GaveUp(f"after {failures} tries, {error}"))
                return
            seconds = min(2**failures, BACKOFF_MAX_SECONDS) * self._uniform(0.8, 1.2)
        lease.outcome = f"postponed: {error}, again in {seconds:.1f} s"
        if not self._let_go(lease, error):
            self.schedule.set(lease.subject, seconds)
        self.leases.release(lease)
        if lease.lane == "hot" and not isinstance(error, Busy):
            self.store.announce(lease.subject, "postponed")

    def _let_go(self, lease: Lease, error: Transient) -> bool:
        """Let go of what nobody but a client wanted, who asks again: a flood would leave minutes of work to be done.

        Whoever wanted it meanwhile has given it another turn, which stays.
        """
        if lease.lane != "hot" or not isinstance(error, Postponed) or lease.next_run is None:
            return False
        if self.partners.is_kept_warm(lease.subject):
            return False
        self.schedule.cancel_if(lease.subject, lease.next_run)
        lease.outcome = f"let go: {error}, until somebody asks again"
        return True

    def _plan(self, lease: Lease) -> None:
        """The next turn of a finished subject: what the newest partners show is renewed at half its TTL."""
        if user_of(lease.subject) is not None:
            self.store.clear_unavailable(lease.subject)  # a picture's own memories end with its put
        if not self.partners.is_kept_warm(lease.subject):
            self.schedule.cancel(lease.subject)
        elif user_of(lease.subject) is None:
            self.schedule.set(lease.subject, self.store.ttl / 2)
        else:
            self.schedule.set(lease.subject, self.profile_check_seconds * self._uniform(0.9, 1.1))
        if not lease.is_released:
            self.leases.release(lease)
        elif self.store.get_unavailable(lease.subject) == Unavailable("forgotten"):
            raise Forgotten("forgotten since it was released")  # or the turn just given would outlive the forgetting
