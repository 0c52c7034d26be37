"""The steps of the flow: what `warm_photo` and `refresh_profile` call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from warmer.deadline import JobContext
from warmer.flow.attempt import AttemptRunner
from warmer.flow.forget import Forget
from warmer.photo import FilePath, PhotoSize, Rendering, SourceImage, VariantSpec
from warmer.state.lease import Lease, LeaseManager
from warmer.state.people import People
from warmer.state.photos import PhotoStore
from warmer.state.refreshes import Refreshes
from warmer.state.schedule import Schedule


class FlowSteps(Protocol):
    """The state that the steps share, and the steps that workers time (warmer/wiring.py, `WorkerSteps`)."""

    attempts: AttemptRunner
    leases: LeaseManager
    schedule: Schedule
    store: PhotoStore
    people: People
    refreshes: Refreshes
    forget: Forget

    def fetch(self, lease: Lease, job: JobContext, path: FilePath | None) -> SourceImage:
        """Download the picture from Telegram: warmer/flow/fetch.py, `PhotoFetcher.fetch`."""

    def look_up_profile(self, user_id: int, job: JobContext) -> list[PhotoSize]:
        """Ask Telegram for the sizes of an id's newest picture: warmer/flow/profile.py, `ProfileLookup.look_up`."""

    def decoding(self, lease: Lease) -> AbstractContextManager[set[VariantSpec]]:
        """Around `render` and `put`: counts a crash if the process ends. Yields the variants that clients wait for.

        A picture that has a crash count is decoded alone in its process, so that no other one is counted with it:
        warmer/state/lease.py, `LeaseManager.counting_crash`.
        """

    def render(self, source: SourceImage, batches: Sequence[Sequence[VariantSpec]]) -> Iterator[Rendering]:
        """Make the variants, batch by batch: warmer/images/render.py, `render`."""

    def put(self, lease: Lease, rendering: Rendering) -> None:
        """Store the variants and wake the clients that wait for them: warmer/state/photos.py, `PhotoStore.put`."""
