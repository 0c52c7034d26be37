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
from warmer.state.lease import MAX_ATTEMPTS, Claim, Claims, Forgotten
from warmer.state.partners import PartnerDirectory
from warmer.state.photos import PhotoStore
from warmer.state.schedule import Due

BACKOFF_MAX_SECONDS = 600
log = logging.getLogger(__name__)


class Hold:
    """Claims subjects, and turns the errors of the work into outcomes that are remembered."""

    def __init__(
        self,
        claims: Claims,
        due: Due,
        store: PhotoStore,
        partners: PartnerDirectory,
        failures: Failures,
        profile_check_seconds: int,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`uniform`: a random number between two, which spreads load and hides nothing."""
        self.claims = claims
        self.due = due
        self.store = store
        self.partners = partners
        self.failures = failures
        self.profile_check_seconds = profile_check_seconds
        self._uniform = uniform

    @contextmanager
    def __call__(self, subject: str, lane: Lane) -> Iterator[Claim]:
        """Hold the subject in this block. A Permanent error is remembered, a Transient one tried again later.

        Raises NotMine where there is nothing to do: held elsewhere, stale, forgotten, or given up after crashes. Any
        other error leaves the claim to its lease, and counts as a crash.
        """
        try:
            claim = self._take(subject, lane)
            try:
                yield claim
            except Permanent as error:
                self._remember(claim, error)
            except Transient as error:
                self._try_later(claim, error)
            else:
                self._plan(claim)
                self.store.announce(subject, "done")
        except Forgotten:
            self.due.drop(subject)
            self.failures.drop(subject)
            raise

    def _take(self, subject: str, lane: Lane) -> Claim:
        # `due` first, claim second: they live in different slots, and a second too late loses nothing.
        turn = self.due.set(subject, self.claims.lease_seconds + 1)
        claim = self.claims.take(subject, lane)
        claim.turn = turn
        if claim.attempt > MAX_ATTEMPTS:
            self._remember(claim, Crashed(f"{MAX_ATTEMPTS} workers ended with it"))
            raise NotMine("given up: it ended its worker three times")
        return claim

    def _remember(self, claim: Claim, error: Permanent) -> None:
        self.failures.note(claim.subject, error)
        seconds = self.store.put_unavailable(claim, error)
        if self.partners.keeps(claim.subject):  # a turn of its own, or `keep_newest` gives an earlier one
            is_profile = user_of(claim.subject) is not None
            self.due.set(claim.subject, max(seconds, self.profile_check_seconds) if is_profile else seconds)
        else:
            self.due.drop(claim.subject)
        for partner_id in self.partners.list_followers(claim.subject):
            self.due.set(user_subject(partner_id), 0)  # a file id may be dead because the profile shows another now
        self.claims.release(claim)
        self.store.announce(claim.subject, "unavailable")
        claim.outcome = f"unavailable: {error.cause}, {error}"
        log.warning("⚠️ %s is unavailable (%s) for %d s: %s", claim.subject, error.cause, seconds, error)

    def _try_later(self, claim: Claim, error: Transient) -> None:
        if isinstance(error, Postponed | Busy | Paused | TokenRejected):
            seconds = (error.retry_after or 1) * self._uniform(1, 1.1)
        else:
            self.failures.note(claim.subject, error)
            failures = self.store.count_failure(claim)
            if failures >= error.tries:
                self._remember(claim, GaveUp(f"after {failures} tries, {error}"))
                return
            seconds = min(2**failures, BACKOFF_MAX_SECONDS) * self._uniform(0.8, 1.2)
        claim.outcome = f"postponed: {error}, again in {seconds:.1f} s"
        if not self._let_go(claim, error):
            self.due.set(claim.subject, seconds)
        self.claims.release(claim)
        if claim.lane == "hot" and not isinstance(error, Busy):
            self.store.announce(claim.subject, "postponed")

    def _let_go(self, claim: Claim, error: Transient) -> bool:
        """Let go of what nobody but a client wanted, who asks again: a flood would leave minutes of work to be done.

        Whoever wanted it meanwhile has given it another turn, which stays.
        """
        if claim.lane != "hot" or not isinstance(error, Postponed) or claim.turn is None:
            return False
        if self.partners.keeps(claim.subject):
            return False
        self.due.take_back(claim.subject, claim.turn)
        claim.outcome = f"let go: {error}, until somebody asks again"
        return True

    def _plan(self, claim: Claim) -> None:
        """The next turn of a finished subject: what the newest partners show is renewed at half its TTL."""
        if user_of(claim.subject) is not None:
            self.store.clear_unavailable(claim.subject)  # a picture's own memories end with its put
        if not self.partners.keeps(claim.subject):
            self.due.drop(claim.subject)
        elif user_of(claim.subject) is None:
            self.due.set(claim.subject, self.store.ttl / 2)
        else:
            self.due.set(claim.subject, self.profile_check_seconds * self._uniform(0.9, 1.1))
        if not claim.is_released:
            self.claims.release(claim)
        elif self.store.get_unavailable(claim.subject) == Unavailable("forgotten"):
            raise Forgotten("forgotten since it was released")  # or the turn just given would outlive the forgetting
