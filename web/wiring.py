"""Where the parts of the web tier are put together; nothing is opened here, so that gunicorn can fork."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from redis import Redis

from warmer.broker.publish import Publisher
from warmer.broker.queues import choose_publishing_options
from warmer.celery import app as celery
from warmer.flow.forget import Forget
from warmer.keys import Keys
from warmer.redis_client.clients import connect_listener, connect_web
from warmer.redis_url import is_cluster
from warmer.settings import Settings
from warmer.state.partners import PartnerDirectory
from warmer.state.photos import PhotoStore
from warmer.state.profiles import Profiles
from warmer.state.schedule import Schedule
from warmer.state.stats import MinuteStats
from web.api.rate_limit import RateLimiter
from web.context import WebContext
from web.observe.access_log import AccessLog
from web.observe.metrics import count_served
from web.observe.request_ids import RequestIds
from web.photos.cache import ResponseCache
from web.photos.listener import Listener
from web.photos.request import PhotoRequestParser
from web.photos.urls import PhotoUrls
from web.photos.waiting import THREADS, Waiting
from web.redis_breaker import BreakablePool, Breaker

PUBLISH_SECONDS = 0.5  # at most for each step of publishing


def open_context(
    settings: Settings,
    *,
    clock: Callable[[], float] = time.monotonic,
    wall_clock: Callable[[], float] = time.time,
) -> WebContext:
    """Put the parts together."""
    keys = Keys(settings.bot_id)
    breaker = Breaker(clock)
    redis: Redis = connect_web(settings, THREADS, BreakablePool, breaker=breaker)
    store = PhotoStore(redis, keys, settings.photo_sizes, settings.photo_formats, settings.photo_ttl)
    directory = PartnerDirectory(redis, keys, settings.rewarm_partners)
    profiles = Profiles(redis, keys, settings.photo_ttl, settings.profile_check_every)
    schedule = Schedule(redis, keys)
    urls = PhotoUrls(settings.url_signing_keys, settings.public_url, settings.photo_sizes)
    cache, waiting = ResponseCache(settings.photo_cache_mb * 2**20, clock), Waiting(settings.photo_wait, clock=clock)
    stats = MinuteStats(redis, keys)
    return WebContext(
        settings=settings,
        redis=redis,
        breaker=breaker,
        keys=keys,
        store=store,
        partners=directory,
        profiles=profiles,
        forget=Forget(directory, profiles, store, schedule),
        publisher=_open_publisher(settings, redis, keys, schedule),
        urls=urls,
        request_parser=PhotoRequestParser(urls, settings.photo_formats),
        cache=cache,
        waiting=waiting,
        listener=_open_listener(settings, keys, waiting, cache, redis),
        stats=stats,
        rate_limiter=RateLimiter(redis, keys, urls, wall_clock),
        access_log=AccessLog(partial(count_served, stats)),
        request_ids=RequestIds(),
        clock=clock,
        wall_clock=wall_clock,
    )


def _open_publisher(settings: Settings, redis: Redis, keys: Keys, schedule: Schedule) -> Publisher:
    celery.conf.update(
        broker_transport_options=celery.conf.broker_transport_options
        | choose_publishing_options(settings, PUBLISH_SECONDS),
        broker_connection_timeout=PUBLISH_SECONDS,
        broker_heartbeat=0,  # nobody sends them for a connection that rests in the pool, and RabbitMQ would close it
        task_publish_retry=False,
        broker_pool_limit=THREADS,
        broker_pool_acquire_timeout=0.25,
    )
    return Publisher(celery, redis, keys, schedule, settings)


def _open_listener(settings: Settings, keys: Keys, waiting: Waiting, cache: ResponseCache, redis: Redis) -> Listener:
    has_slots = is_cluster(settings.redis_url)

    def join() -> None:
        if not has_slots and isinstance(redis.connection_pool, BreakablePool):  # a cluster's nodes have their own
            redis.connection_pool.begin_anew()  # they may lead to the master of before
        cache.open()

    return Listener(
        lambda: connect_listener(settings),
        keys,
        on_done=waiting.wake,
        on_purge=cache.purge,
        on_joined=join,
        on_lost=cache.close,
        has_slots=has_slots,
    )
