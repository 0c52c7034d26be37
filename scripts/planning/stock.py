"""Which pictures are stored until when, in one array: ten million of them are 40 MB."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from planning.popularity import Popularity, Ranks
from planning.setup import Setup

JITTER = 0.1  # of PHOTO_TTL, to either side


class Stock:
    """Pictures by rank: the first `rewarm_partners` are those of the newest partners."""

    def __init__(self, setup: Setup, popularity: Popularity, chance: np.random.Generator) -> None:
        self.ttl = setup.photo_ttl
        self.shards = setup.shards
        self._chance = chance
        self._until = np.full(setup.pictures, -1.0, dtype=np.float32)  # seconds of simulated time
        if not setup.is_cold:
            self._fill(popularity, setup)

    def is_stored(self, picture: int, now: float) -> bool:
        return bool(self._until[picture] > now)

    def are_stored(self, pictures: Ranks, now: float) -> npt.NDArray[np.bool_]:
        """The same for many."""
        return self._until[pictures] > now

    def put(self, picture: int, now: float) -> None:
        """For one more life; a renewal is the same."""
        self._until[picture] = now + self.ttl * self._chance.uniform(1 - JITTER, 1 + JITTER)

    def lose(self, shard: int) -> None:
        """Everything of one shard."""
        self._until[shard :: self.shards] = -1.0

    def _fill(self, popularity: Popularity, setup: Setup) -> None:
        """As it is after weeks: each is stored for T of every T + 1/r seconds, and has some of T left."""
        asked = popularity.list_rates(setup.requests) * self.ttl
        is_stored = self._chance.random(setup.pictures) < asked / (1 + asked)
        left = self._chance.random(setup.pictures, dtype=np.float32) * self.ttl
        self._until[is_stored] = left[is_stored]
        newest = slice(0, setup.rewarm_partners)
        self._until[newest] = self.ttl / 2 + left[newest] / 2  # renewed at half their life
