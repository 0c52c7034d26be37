"""The tools of the flow, on one desk: what `warm` and `follow` are handed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from warmer.deadline import Errand
from warmer.flow.forget import Forget
from warmer.keys import Lane
from warmer.photo import Cut, Original, PhotoSize, Rendering
from warmer.state.lease import Claim, Claims
from warmer.state.partners import PartnerDirectory
from warmer.state.photos import PhotoStore
from warmer.state.profiles import Profiles


@dataclass(frozen=True, slots=True)
class Desk:
    """Steps are callables, so that each can be timed or replaced where the desk is set up."""

    hold: Callable[[str, Lane], AbstractContextManager[Claim]]
    fetch: Callable[[Claim, Errand], Original]
    look_up: Callable[[int, Errand], list[PhotoSize]]
    render: Callable[[Original, Sequence[Sequence[Cut]]], Iterable[Rendering]]
    put: Callable[[Claim, Rendering], None]
    claims: Claims
    store: PhotoStore
    partners: PartnerDirectory
    profiles: Profiles
    forget: Forget
