"""Limits writes per caller and wrong keys per address, counted in Redis for all processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from math import ceil

from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter  # its window is a TTL in Redis, not our clock
from redis import Redis
from redis.exceptions import RedisError

from warmer.keys import Keys
from warmer.photo_urls import PhotoUrls
from warmer.redis_errors import is_away
from web.problems import Problem

PER_MINUTE = {"user": 10, "server": 30_000}  # writes, by role
WRONG_KEYS_PER_MINUTE = 20  # by address
WRONG_KEYS_PER_MINUTE_OF_A_PEER = 1000  # by connection: of all the clients of a proxy together


class ClientStorage(RedisStorage):
    """The storage of `limits` on our own client, with its pool, timeouts and breaker, and for a cluster."""

    def __init__(self, redis: Redis, key_prefix: str) -> None:
        super(RedisStorage, self).__init__()  # RedisStorage's own would make a client
        self.target_server = "redis"
        self.dependency = self.dependencies["redis"].module
        self.key_prefix = key_prefix
        self.storage = redis
        self.initialize_storage("redis://")


class RateLimiter:
    """Counts the writes of each caller by method, and the wrong keys of each address, within a minute."""

    def __init__(self, redis: Redis, keys: Keys, urls: PhotoUrls, wall_clock: Callable[[], float] = time.time) -> None:
        self._urls, self._wall_clock = urls, wall_clock
        self._limiter = FixedWindowRateLimiter(ClientStorage(redis, keys.limits))
        self._wrong_keys = RateLimitItemPerMinute(WRONG_KEYS_PER_MINUTE, namespace="wrong-key")
        self._of_a_peer = RateLimitItemPerMinute(WRONG_KEYS_PER_MINUTE_OF_A_PEER, namespace="wrong-key")
        self._limits = {role: RateLimitItemPerMinute(number, namespace=role) for role, number in PER_MINUTE.items()}

    def count(self, role: str, caller_id: int, method: str) -> None:
        """Count a write of this caller. Raises Problem: 429 over the limit."""
        self._hit(self._limits[role], method, f"writer:{caller_id}")

    def count_wrong_key(self, peer: str, forwarded_for: str) -> None:
        """Count a wrong key of this client, except while Redis is away. Raises Problem: 429 over the limit.

        The peer counts first: behind a proxy that passes X-Forwarded-For on unchanged, a client could choose a new
        address for each key, and each would be a new key in Redis.
        """
        try:
            self._hit(self._of_a_peer, "key", f"peer:{find_client_address(peer, '')}")
            self._hit(self._wrong_keys, "key", f"address:{find_client_address(peer, forwarded_for)}")
        except RedisError as error:
            if not is_away(error):
                raise

    def _hit(self, limit: RateLimitItemPerMinute, what: str, subject: str) -> None:
        # Hashed with our key, so that no readable trace of a forgotten user or of an address remains.
        hashed = self._urls.sign(subject)
        if not self._limiter.hit(limit, what, hashed):
            seconds = ceil(self._limiter.get_window_stats(limit, what, hashed).reset_time - self._wall_clock())
            headers = {"Retry-After": str(max(1, seconds))}
            raise Problem(429, f"at most {limit.amount} of these a minute", headers=headers)


def find_client_address(peer: str, forwarded_for: str) -> str:
    """Return the address that a client is counted under. Of IPv6 it is the /64, which a single client owns.

    A peer beyond the local networks is the client. Any other peer may be a proxy: then the last entry of
    X-Forwarded-For counts, the one that the nearest proxy has added. A client cannot choose that one.
    """
    seen, forwarded = _parse_address(peer), _parse_address(forwarded_for.rpartition(",")[2])
    address = seen if forwarded is None or (seen and seen.is_global) else forwarded
    if isinstance(address, IPv6Address):
        return str(ip_network((address, 64), strict=False))
    return str(address or peer)


def _parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """An address with or without brackets or port, None for anything else."""
    text = text.strip()
    for candidate in (text, text.rpartition(":")[0]):
        with suppress(ValueError):
            address = ip_address(candidate.strip("[]").partition("%")[0])
            return getattr(address, "ipv4_mapped", None) or address
    return None
