"""The tools of the flow, on one desk: what `warm` and `follow` are handed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from warmer.deadline import JobContext
from warmer.flow.forget import Forget
from warmer.keys import Lane
from warmer.photo import PhotoSize, Rendering, SourceImage, VariantSpec
from warmer.state.lease import Lease, LeaseManager
from warmer.state.partners import PartnerDirectory
from warmer.state.photos import PhotoStore
from warmer.state.profiles import Profiles


@dataclass(frozen=True, slots=True)
class FlowSteps:
    """Steps are callables, so that each can be timed or replaced where the desk is set up."""

    hold: Callable[[str, Lane], AbstractContextManager[Lease]]
    fetch: Callable[[Lease, JobContext], SourceImage]
    look_up: Callable[[int, JobContext], list[PhotoSize]]
    render: Callable[[SourceImage, Sequence[Sequence[VariantSpec]]], Iterable[Rendering]]
    put: Callable[[Lease, Rendering], None]
    leases: LeaseManager
    store: PhotoStore
    partners: PartnerDirectory
    profiles: Profiles
    forget: Forget
