"""The parts that the API's routes use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from redis import Redis

from warmer.flow.forget import Forget
from warmer.keys import Keys
from warmer.observe.checks import HealthChecks
from warmer.photo_urls import PhotoUrls
from warmer.settings import Settings
from warmer.state.people import People
from warmer.state.photos import PhotoStore
from warmer.state.refreshes import Refreshes
from web.api.callers import VerifiedCallers
from web.api.lists import ListCache
from web.api.rate_limit import RateLimiter
from web.photos.purge_listener import PurgeListener
from web.redis_breaker import Breaker


@dataclass(frozen=True, slots=True)
class ApiContext:
    """The parts of one process."""

    settings: Settings
    redis: Redis
    keys: Keys
    breaker: Breaker
    store: PhotoStore
    people: People
    refreshes: Refreshes
    forget: Forget
    urls: PhotoUrls
    rate_limiter: RateLimiter
    health: HealthChecks
    verified: VerifiedCallers
    lists: ListCache
    listener: PurgeListener
    clock: Callable[[], float]  # seconds, from no instant in particular
    wall_clock: Callable[[], float]  # Unix time, in seconds
