"""Clients wait while their picture backs off: they still get what a worker can make without Telegram."""

from __future__ import annotations

from warmer.keys import Lane, Subject
from warmer.state.lease import Lease, LeaseManager, TooEarly
from warmer.state.photos import PhotoStore
from warmer.state.schedule import Schedule


def take_lease(subject: Subject, lane: Lane, leases: LeaseManager, schedule: Schedule, store: PhotoStore) -> Lease:
    """Take the lease as `LeaseManager.take` does. In the lane *hot* a backoff is no obstacle if Telegram is not needed.

    Otherwise a format that is not stored would be missing for as long as an outage lasts.
    """
    try:
        return leases.take(subject, lane, schedule)
    except TooEarly as reason:
        if lane != "hot" or not reason.wanted:
            raise
        if store.inspect(subject, reason.wanted).narrow(reason.wanted).source is None:
            raise
        return leases.take(subject, lane, despite=reason)
