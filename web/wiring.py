"""Puts the parts of the web tier together, a context for each room. No connection is opened before the fork."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from flask import Flask
from redis import Redis

from warmer.broker.publish import Publisher, open_outbox
from warmer.broker.queues import choose_publishing_options
from warmer.cache_tags import CacheTags
from warmer.celery import app as celery
from warmer.flow.forget import Forget
from warmer.keys import Keys
from warmer.observe.checks import HealthChecks
from warmer.photo_urls import PhotoUrls
from warmer.redis_client.clients import connect_listener, connect_web
from warmer.redis_url import is_cluster
from warmer.settings import Settings
from warmer.state.budget import Budget
from warmer.state.people import open_people
from warmer.state.photos import PhotoStore
from warmer.state.refreshes import Refreshes
from warmer.state.schedule import Schedule
from warmer.state.stats import MinuteStats
from web.api.callers import VerifiedCallers
from web.api.context import ApiContext
from web.api.lists import ListCache
from web.api.rate_limit import RateLimiter
from web.context import get_context
from web.observe.access_log import AccessLog
from web.observe.context import ObserveContext
from web.observe.metrics import LINES_DROPPED, count_served
from web.observe.request_ids import RequestIds
from web.pages.context import PageContext
from web.photos.cache import ResponseCache
from web.photos.context import PhotoContext
from web.photos.purge_listener import PurgeListener
from web.photos.request import PhotoRequestParser
from web.photos.waiting import Waiting
from web.receivers import ReceiverContext
from web.redis_breaker import BreakablePool, Breaker

THREADS = 64  # of the server, per process: its own settings and the pools below take the number from here
OPEN_FILES = 8192  # of each process: clients, and the connections of its threads
PLACES = THREADS // 2  # for requests that wait in threads; looks take a quarter (web/server/worker.py), others the rest
PUBLISH_SECONDS = 0.5  # at most for each step of publishing


@dataclass(frozen=True, slots=True)
class WebContext:
    """The parts that one web process has opened, and the context of each room."""

    settings: Settings
    redis: Redis
    keys: Keys
    breaker: Breaker
    health: HealthChecks
    photos: PhotoContext
    api: ApiContext
    pages: PageContext
    observe: ObserveContext
    receivers: ReceiverContext

    def list_by_class(self) -> dict[type, object]:
        """Returns each context by its class, where `get_context` looks."""
        contexts = (self, self.photos, self.api, self.pages, self.observe, self.receivers)
        return {type(context): context for context in contexts}

    def close(self) -> None:
        """End the threads, write the last lines and figures, and close the connections to Redis and the broker.

        In this order: the access log counts into the figures, and they go to Redis. gunicorn.conf.py and
        web/server/granian.py start the listener with the process, and under other servers its first look at Redis does.
        """
        self.photos.listener.close()
        self.observe.access_log.close()
        self.observe.stats.close()
        self.photos.publisher.close()
        self.redis.close()


def get_web_context(app: Flask) -> WebContext:
    """Returns everything that the app has opened."""
    return get_context(WebContext, app)


def open_context(
    settings: Settings, *, clock: Callable[[], float] = time.monotonic, wall_clock: Callable[[], float] = time.time
) -> WebContext:
    """Put the parts together: first what the rooms share, then the context of each room."""
    keys, breaker = Keys(settings.bot_id), Breaker(clock)
    redis: Redis = connect_web(settings, THREADS, BreakablePool, breaker=breaker)
    store = PhotoStore(redis, keys, settings.photo_sizes, settings.photo_formats, settings.photo_ttl)
    schedule, budget = Schedule(redis, keys), Budget(redis, keys, settings.telegram_rate)
    publisher, stats = _open_publisher(settings, redis, keys, schedule), MinuteStats(redis, keys)
    outbox = open_outbox(settings, redis, keys, publisher)
    people = open_people(settings, redis, keys, outbox)
    health = HealthChecks(redis, keys, publisher, clock, wall_clock)
    urls = PhotoUrls(settings.url_signing_keys, settings.public_url, settings.photo_sizes)
    parser = PhotoRequestParser(urls, settings.photo_formats)
    cache = ResponseCache(settings.photo_cache_mb * 2**20, clock)
    waiting = Waiting(settings.photo_wait, PLACES, clock=clock)
    lists, verified = ListCache(clock), VerifiedCallers(settings.init_data_max_age, clock, wall_clock)
    waiting.pass_on(lists.end_done)
    listener = _open_listener(settings, keys, waiting, cache, lists, redis, health)
    forget, rate_limiter = Forget(people, store), RateLimiter(redis, keys, urls, wall_clock)
    refreshes = Refreshes(redis, keys, schedule)
    photos = PhotoContext(
        store, people, publisher, parser, cache, waiting, listener, RequestIds(), clock=clock,
        cache_tags=CacheTags(settings.init_data_secret),
    )  # fmt: skip
    api = ApiContext(
        settings, redis, keys, breaker, store, people, refreshes, forget, urls, rate_limiter, health, verified,
        lists, listener, clock=clock, wall_clock=wall_clock,
    )  # fmt: skip
    pages = PageContext(
        settings, redis, keys, people, publisher, schedule, budget, health, outbox, wall_clock=wall_clock
    )  # fmt: skip
    access_log = AccessLog(partial(count_served, stats), count_dropped=LINES_DROPPED.inc)
    observe = ObserveContext(
        redis, keys, publisher, schedule, budget, stats, access_log, health, outbox, clock=clock, wall_clock=wall_clock
    )
    receivers = ReceiverContext(publisher, settings.warm_first)
    return WebContext(settings, redis, keys, breaker, health, photos, api, pages, observe, receivers)


def _open_publisher(settings: Settings, redis: Redis, keys: Keys, schedule: Schedule) -> Publisher:
    celery.conf.update(
        broker_transport_options=celery.conf.broker_transport_options
        | choose_publishing_options(settings, PUBLISH_SECONDS),
        broker_connection_timeout=PUBLISH_SECONDS,
        broker_heartbeat=0,  # a connection at rest in the pool sends none, and RabbitMQ would close it
        task_publish_retry=False,
        broker_pool_limit=THREADS,
        broker_pool_acquire_timeout=0.25,
    )
    return Publisher(celery, redis, keys, schedule, settings)


def _open_listener(
    settings: Settings,
    keys: Keys,
    waiting: Waiting,
    cache: ResponseCache,
    lists: ListCache,
    redis: Redis,
    health: HealthChecks,
) -> PurgeListener:
    has_slots = is_cluster(settings.redis_url)

    def on_purge(subject: str) -> None:
        cache.purge(subject)
        lists.end_all()

    def on_lost() -> None:
        health.note_lost()
        cache.close()
        lists.close()

    def on_joined() -> None:
        if not has_slots and isinstance(redis.connection_pool, BreakablePool):  # a cluster has one a node
            redis.connection_pool.begin_anew()  # its connections may lead to the former master
        health.note_joined()
        cache.open()
        lists.open()

    return PurgeListener(
        lambda: connect_listener(settings),
        keys,
        on_done=waiting.wake,
        on_purge=on_purge,
        on_acknowledge=lists.end_all,
        on_joined=on_joined,
        on_lost=on_lost,
        has_slots=has_slots,
    )
