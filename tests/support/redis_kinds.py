"""The kinds of Redis that the service supports: one server, a cluster, and servers behind Sentinels.

REDIS_KIND chooses the kind for the tests: single (the default), cluster or sentinel.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from redis import Redis

from tests.support.redis_nodes import RedisServer, run_cluster, run_watched
from tests.support.waiting import wait_until
from warmer.redis_client.clients import connect_worker
from warmer.redis_client.cluster import Cluster
from warmer.settings import Settings

KIND = os.environ.get("REDIS_KIND", "single")


@contextmanager
def run_kind(kind: str, folder: Path) -> Iterator[dict[str, str]]:
    """Run a Redis of this kind. Yields its settings."""
    if kind == "cluster":
        broker = RedisServer(folder / "broker", appendonly="no")
        with broker, run_cluster(folder / "cluster", appendonly="no") as cluster:
            yield {"REDIS_URL": cluster.url, "CELERY_BROKER_URL": broker.url}
    elif kind == "sentinel":
        with run_watched(folder / "watched", appendonly="no") as watched:
            yield {"REDIS_URL": watched.url}
    else:
        with RedisServer(folder / "single", appendonly="no") as server:
            yield {"REDIS_URL": server.url}


def list_masters(redis: Redis) -> list[Any]:
    """Returns a client of each server that holds a part of the data."""
    client: Any = redis
    if not isinstance(client, Cluster):
        return [client]
    nodes: Any = client.nodes
    return [nodes.get_redis_connection(node) for node in nodes.get_primaries()]


def list_calls(redis: Redis) -> set[str]:
    """Returns the commands that the servers have received since `forget_calls`, as they count them."""
    stats = [name for master in list_masters(redis) for name in master.info("commandstats")]
    return {name.removeprefix("cmdstat_") for name in stats}


def reset_calls(redis: Redis) -> None:
    """Reset the counts."""
    for master in list_masters(redis):
        master.config_resetstat()


@contextmanager
def subscribed(redis: Redis, *channels: str) -> Iterator[Any]:
    """Subscribe, and wait until the subscription has begun; in a cluster at the node of channels with a slot."""
    client: Any = redis
    has_slots = isinstance(client, Cluster)
    spoken_in = [channel for channel in channels if has_slots and "{" in channel]
    if spoken_in:
        client = client.nodes.get_redis_connection(client.nodes.get_node_from_key(spoken_in[0]))
    with client.pubsub() as subscription:
        if spoken_in:
            subscription.ssubscribe(*spoken_in)
        if others := [channel for channel in channels if channel not in spoken_in]:
            subscription.subscribe(*others)
        for _ in channels:
            wait_until(lambda: subscription.get_message(timeout=1))  # confirms the subscription
        yield subscription


@cache
def connect_broker(settings: Settings) -> Redis:
    """Returns a client of the queue's Redis."""
    url = settings.celery_broker_url or settings.redis_url
    return connect_worker(settings.model_copy(update={"redis_url": url}))
