"""The stored pictures in simulated time: when each one expires, in one array (40 MB for ten million)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from planning.popularity import Popularity, Ranks
from planning.setup import Setup
from warmer.state.photos import TTL_JITTER


class PhotoStore:
    """Pictures by rank: the first `rewarm_partners` are those of the newest partners."""

    def __init__(self, setup: Setup, popularity: Popularity, rng: np.random.Generator) -> None:
        self.ttl = setup.photo_ttl
        self.shards = setup.shards
        self._rng = rng
        self._until = np.full(setup.pictures, -1.0, dtype=np.float32)  # seconds of simulated time
        if not setup.is_cold:
            self._fill(popularity, setup)

    def is_stored(self, picture: int, now: float) -> bool:
        return bool(self._until[picture] > now)

    def are_stored(self, pictures: Ranks, now: float) -> npt.NDArray[np.bool_]:
        """Which of these pictures are stored."""
        return self._until[pictures] > now

    def put(self, picture: int, now: float) -> None:
        """Store or renew the picture for one TTL."""
        self._until[picture] = now + self.ttl * self._rng.uniform(1 - TTL_JITTER, 1 + TTL_JITTER)

    def lose(self, shard: int) -> None:
        """Remove all pictures of one shard."""
        self._until[shard :: self.shards] = -1.0

    def _fill(self, popularity: Popularity, setup: Setup) -> None:
        """The state after weeks: each picture is stored for T of every T + 1/r seconds, with a part of T left."""
        asked = popularity.list_rates(setup.requests) * self.ttl
        is_stored = self._rng.random(setup.pictures) < asked / (1 + asked)
        left = self._rng.random(setup.pictures, dtype=np.float32) * self.ttl
        self._until[is_stored] = left[is_stored]
        newest = slice(0, setup.rewarm_partners)
        self._until[newest] = self.ttl / 2 + left[newest] / 2  # renewed at half of their TTL
