"""How often clients request each picture (Zipf's law), and how many of them a cache with a TTL holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ranks = npt.NDArray[np.int64]
BINS = 4000  # of ranks, in geometric steps
SAME = 1e-9  # exponents closer to 1 than this use the logarithm as the integral


@dataclass(frozen=True)
class Popularity:
    """Pictures by rank from 0. Rank r gets requests in proportion to (r + 1) ** -exponent, approximately.

    Exactly, rank r has the share of the power's integral from r + 1 to r + 2: one step draws from that.
    """

    pictures: int
    exponent: float

    def draw(self, rng: np.random.Generator, number: int) -> Ranks:
        """Draw ranks at random."""
        return np.minimum(self._rank_at(rng.random(number)).astype(np.int64) - 1, self.pictures - 1)

    def list_rates(self, requests_per_second: float) -> Floats:
        """Requests per second for each picture, by rank."""
        edges = np.arange(1, self.pictures + 2, dtype=np.float64)
        return np.diff(self._share_below(edges)) * requests_per_second

    def rates_of(self, pictures: Ranks, requests_per_second: float) -> Floats:
        """Requests per second for each of these pictures."""
        first = pictures.astype(np.float64) + 1
        return (self._share_below(first + 1) - self._share_below(first)) * requests_per_second

    def split(self, requests_per_second: float, ttl_seconds: float) -> tuple[float, float]:
        """Misses per second and the number of stored pictures, if each picture lives `ttl_seconds` from its fetch.

        A picture with r requests per second is stored for T of every T + 1/r seconds: hits do not extend its life.
        """
        numbers, rates = self._bins(requests_per_second)
        asked = rates * ttl_seconds
        return float((numbers * rates / (1 + asked)).sum()), float((numbers * asked / (1 + asked)).sum())

    def find_age(self, requests_per_second: float, room: float, age_seconds: float) -> float:
        """The age in seconds that pictures reach in a cache with room for `room` of them and this greatest age."""
        if self.split(requests_per_second, age_seconds)[1] <= room:
            return age_seconds
        low, high = 0.0, age_seconds
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if self.split(requests_per_second, middle)[1] <= room else (low, middle)
        return low

    def _bins(self, requests_per_second: float) -> tuple[Floats, Floats]:
        """The pictures in each bin, and the requests per second for one of them."""
        edges = np.unique(np.geomspace(1, self.pictures + 1, BINS).round())
        numbers = np.diff(edges)
        return numbers, np.diff(self._share_below(edges)) * requests_per_second / numbers

    def _share_below(self, rank: Floats) -> Floats:
        power = 1 - self.exponent
        if abs(power) < SAME:
            return np.asarray(np.log(rank) / np.log(self.pictures + 1), dtype=np.float64)
        return np.asarray((rank**power - 1) / ((self.pictures + 1) ** power - 1), dtype=np.float64)

    def _rank_at(self, share: Floats) -> Floats:
        power = 1 - self.exponent
        if abs(power) < SAME:
            return np.asarray((self.pictures + 1) ** share, dtype=np.float64)
        return np.asarray((share * ((self.pictures + 1) ** power - 1) + 1) ** (1 / power), dtype=np.float64)
