"""Opens the clients of Redis, with the timeouts of their process: for one server, a cluster, or Sentinels' master."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from redis import BlockingConnectionPool, Redis, RedisCluster
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.cluster import ClusterNode
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from warmer.keys import Keys
from warmer.redis_client.cluster import Cluster
from warmer.redis_url import Place, parse_place, split_options
from warmer.settings import Settings


@dataclass(frozen=True, slots=True)
class Patience:
    """The timeouts of a client, in seconds, and its retries."""

    connect: float
    read: float
    pool: float  # for a connection that is free
    retry: Retry

    @property
    def of_a_connection(self) -> dict[str, Any]:
        return {"socket_connect_timeout": self.connect, "socket_timeout": self.read}


def connect_web(
    settings: Settings, connections: int, pool: type[BlockingConnectionPool] = BlockingConnectionPool, **options: Any
) -> Redis:
    """Return a client for requests: connect within 0.25 s, read within 0.3 s, wait 0.1 s for a connection, no retry.

    Its connections come from a `pool` with these options.
    """
    return _connect(settings, connections, Patience(0.25, 0.3, 0.1, Retry(NoBackoff(), 0)), pool, options)


def connect_worker(settings: Settings, connections: int = 64) -> Redis:
    """Return a client for workers and tools, with 2 s and three retries, to outlast a short outage.

    Not longer: if a master vanishes without closing its connections, each one is noticed only by its own timeout.
    """
    patience = Patience(2, 2, 5, Retry(ExponentialBackoff(cap=1, base=0.1), 3))
    return _connect(settings, connections, patience, BlockingConnectionPool, {})


def connect_listener(settings: Settings) -> Redis:
    """Return a client for pub/sub, which idles: its read timeout is not shorter than the silence.

    In a cluster it is a client of the node that holds the channels with a slot. That node passes all others on, too.
    """
    patience = Patience(1, 5, 1, Retry(NoBackoff(), 0))
    client = _connect(settings, 2, patience, BlockingConnectionPool, {})
    if not isinstance(client, Cluster):
        return client
    with client:
        node = client.nodes.get_node_from_key(Keys(settings.bot_id).purge)
    place = parse_place(settings.redis_url) or Place(())
    login = _login(settings.redis_url, place)
    secure = {"ssl": place.is_encrypted}  # a pool takes it from the scheme of its URL
    return Redis(host=node.host, port=node.port, retry=patience.retry, **secure, **login, **patience.of_a_connection)


def _connect(
    settings: Settings,
    connections: int,
    patience: Patience,
    pool: type[BlockingConnectionPool],
    options: dict[str, Any],
) -> Redis:
    pooled = {"max_connections": connections, "timeout": patience.pool, **patience.of_a_connection}
    place = parse_place(settings.redis_url)
    if place is None:
        url, options_of_url = split_options(settings.redis_url)
        return Redis.from_pool(pool.from_url(url, retry=patience.retry, **pooled, **options_of_url, **options))
    login = _login(settings.redis_url, place)
    if place.master:
        patient = {"protocol": login["protocol"], **patience.of_a_connection}
        sentinels = Sentinel(place.hosts, sentinel_kwargs=patient)  # type: ignore[no-untyped-call]
        managed = type(f"Managed{pool.__name__}", (SentinelConnectionPool, pool), {})
        pooled |= options | login
        return Redis.from_pool(managed(place.master, sentinels, db=place.database, retry=patience.retry, **pooled))

    def connect_cluster() -> RedisCluster:
        # redis-py takes a pool of ours only with a URL; every node gets one.
        return RedisCluster.from_url(
            f"{'rediss' if place.is_encrypted else 'redis'}://{place.hosts[0]}",
            startup_nodes=[ClusterNode(*host) for host in place.hosts],  # type: ignore[no-untyped-call]  # as above
            require_full_coverage=False,  # the other shards are served while one is away
            retry=patience.retry,
            connection_pool_class=partial(pool, **options),
            **login,
            **pooled,
        )

    return cast(Redis, Cluster(connect_cluster, Keys(settings.bot_id).schedule))


def _login(url: str, place: Place) -> dict[str, Any]:
    return {"username": place.username, "password": place.password, **split_options(url)[1]}
