"""The steps of the flow: what `warm_photo` and `refresh_profile` call. `warmer.wiring` implements them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from warmer.deadline import JobContext
from warmer.flow.forget import Forget
from warmer.flow.outcome import Outcome
from warmer.keys import Lane, Subject
from warmer.photo import FilePath, PhotoSize, Rendering, SourceImage, VariantSpec
from warmer.state.lease import Lease, LeaseManager
from warmer.state.people import People
from warmer.state.photos import PhotoStore
from warmer.state.schedule import Schedule


class FlowSteps(Protocol):
    """The steps that take time or can fail, and the state that they share."""

    leases: LeaseManager
    schedule: Schedule
    store: PhotoStore
    people: People
    forget: Forget

    def attempt(self, subject: Subject, lane: Lane, work: Callable[[Lease], Outcome]) -> Outcome:
        """Do the work under the lease of the subject. Returns its outcome, or the one that follows from its error.

        See `warmer.flow.attempt` and, for what follows from an error, `warmer.flow.retry`.
        """

    def fetch(self, lease: Lease, job: JobContext, path: FilePath | None) -> SourceImage:
        """Download the picture from Telegram. See `warmer.flow.fetch`."""

    def look_up_profile(self, user_id: int, job: JobContext) -> list[PhotoSize]:
        """Ask Telegram for the sizes of the newest picture of a person or chat. See `warmer.flow.profile`."""

    def render(self, source: SourceImage, batches: Sequence[Sequence[VariantSpec]]) -> Iterator[Rendering]:
        """Make the variants, batch by batch. See `warmer.images.render`."""

    def put(self, lease: Lease, rendering: Rendering) -> None:
        """Store the variants and wake the clients that wait for them. See `warmer.state.photos`."""
