"""Puts the parts together, for a worker and for the command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from threading import Lock

from redis import Redis

from warmer.broker.publish import Publisher, open_outbox
from warmer.cache_tags import CacheTags
from warmer.celery import app
from warmer.deadline import JobContext
from warmer.errors import Postponed, UnknownRefusal, UpstreamFailed
from warmer.flow.attempt import AttemptRunner
from warmer.flow.cross_check import CrossCheck
from warmer.flow.fetch import PhotoFetcher
from warmer.flow.forget import Forget, wait_for_acknowledgements
from warmer.flow.profile import ProfileLookup
from warmer.flow.steps import FlowSteps
from warmer.images.headers import lacks_end
from warmer.images.memory import FairSemaphore
from warmer.images.render import render
from warmer.keys import Keys
from warmer.observe.checks import HealthChecks
from warmer.observe.metrics import STEP_SECONDS, count_call, count_event, time_each
from warmer.photo import FilePath, PhotoSize, Rendering, SourceImage, VariantSpec
from warmer.photo_urls import PhotoUrls
from warmer.redis_client.clients import connect_worker
from warmer.settings import Settings, load_settings_or_exit
from warmer.state.budget import Budget
from warmer.state.failures import Failures
from warmer.state.lease import Lease, LeaseManager
from warmer.state.outage import Outage
from warmer.state.outbox import Outbox
from warmer.state.people import People, open_people
from warmer.state.photos import PhotoStore
from warmer.state.refreshes import Refreshes
from warmer.state.schedule import Schedule
from warmer.state.stats import MinuteStats
from warmer.telegram.client import BotApi
from warmer.telegram.connections import Server
from warmer.webhook.delivery import PLACES, Delivery
from warmer.webhook.payload import Payloads
from warmer.webhook.receiver import Receiver

CONNECTIONS = 50  # to Telegram, per worker process; at least as many as threads
TURN_SECONDS = 2.0  # the longest that a picture waits for one that is decoded alone


@dataclass
class WorkerSteps(FlowSteps):
    """The steps of the flow as workers run them, each timed."""

    attempts: AttemptRunner
    fetcher: PhotoFetcher
    profile_lookup: ProfileLookup
    leases: LeaseManager
    schedule: Schedule
    store: PhotoStore
    people: People
    refreshes: Refreshes
    forget: Forget

    def __post_init__(self) -> None:
        self._decodes = FairSemaphore(CONNECTIONS)

    def fetch(self, lease: Lease, job: JobContext, path: FilePath | None) -> SourceImage:
        with STEP_SECONDS.labels("fetch").time(), self._asking_about_the_bot(job):
            return self.fetcher.fetch(lease, job, path)

    def look_up_profile(self, user_id: int, job: JobContext) -> list[PhotoSize]:
        with STEP_SECONDS.labels("look_up").time(), self._asking_about_the_bot(job):
            return self.profile_lookup.look_up(user_id, job)

    @contextmanager
    def _asking_about_the_bot(self, job: JobContext) -> Iterator[None]:
        """Call getMe after a refusal in unknown words. If the bot is the reason, getMe raises and halts every call."""
        try:
            yield
        except UnknownRefusal:
            with suppress(Postponed, UpstreamFailed):  # getMe says nothing then, and the refusal stays
                self.fetcher.budget.spend(job, "getMe", self.fetcher.telegram.get_me)
            raise

    @contextmanager
    def decoding(self, lease: Lease) -> Iterator[set[VariantSpec]]:
        places = self._decodes.size if lease.crash_count else 1
        with self._decodes.acquire(places, TURN_SECONDS), self.leases.counting_crash(lease) as awaited:
            yield awaited

    def render(self, source: SourceImage, batches: Sequence[Sequence[VariantSpec]]) -> Iterator[Rendering]:
        with_preview = any(spec.format == self.store.formats[0] for batch in batches for spec in batch)
        return time_each("render", render(source, batches, with_preview=with_preview))

    def put(self, lease: Lease, rendering: Rendering) -> None:
        with STEP_SECONDS.labels("put").time():
            self.store.put(lease, rendering)


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The parts that a worker process works with."""

    settings: Settings
    redis: Redis
    keys: Keys
    telegram: BotApi
    budget: Budget
    schedule: Schedule
    people: People
    publisher: Publisher
    stats: MinuteStats
    health: HealthChecks
    steps: FlowSteps
    delivery: Delivery | None  # None without a webhook

    def close(self) -> None:
        """Stop the threads, write the last figures, and close every connection."""
        self.telegram.close()
        if self.delivery:
            self.delivery.close()
        self.stats.close()
        self.publisher.close()
        self.redis.close()


class _OfThisProcess:
    """The context, and the lock that keeps two threads from making it at the same time."""

    lock = Lock()
    worker_context: WorkerContext | None = None


def get_worker_context() -> WorkerContext:
    """Returns the context of this process, made on first use."""
    with _OfThisProcess.lock:
        if _OfThisProcess.worker_context is None:
            settings = load_settings_or_exit()
            _OfThisProcess.worker_context = open_worker_context(settings, connect_worker(settings))
        return _OfThisProcess.worker_context


def close_worker_context() -> None:
    """Close the context of this process, if there is one."""
    with _OfThisProcess.lock:
        worker_context, _OfThisProcess.worker_context = _OfThisProcess.worker_context, None
    if worker_context is not None:
        worker_context.close()


def open_worker_context(settings: Settings, redis: Redis) -> WorkerContext:
    """Make the context. It closes the Redis client, too."""
    keys = Keys(settings.bot_id)
    stats = MinuteStats(redis, keys)
    on_call = partial(count_call, stats)
    telegram = BotApi(settings.telegram_bot_token, Server.read(settings), connections=CONNECTIONS, on_call=on_call)
    schedule = Schedule(redis, keys)
    outage = Outage(redis, keys, schedule)
    budget = Budget(redis, keys, settings.telegram_rate, on_recovered=outage.end, on_answered=outage.note_answer)
    store = PhotoStore(redis, keys, settings.photo_sizes, settings.photo_formats, settings.photo_ttl)
    refreshes = Refreshes(redis, keys, schedule)
    publisher = Publisher(app, redis, keys, schedule, settings)
    outbox = open_outbox(settings, redis, keys, publisher)
    people = open_people(settings, redis, keys, outbox)
    failures, leases = Failures(redis, keys, stats), LeaseManager(redis, keys)
    check = CrossCheck(telegram, budget, outage, people, store, lacks_end)
    look_every = settings.profile_check_every
    steps = WorkerSteps(
        AttemptRunner(leases, schedule, store, people, refreshes, failures, outage, budget, check, look_every),
        PhotoFetcher(telegram, budget, outage, store, settings.file_path_ttl, lacks_end),
        ProfileLookup(telegram, budget),
        leases,
        schedule,
        store,
        people,
        refreshes,
        Forget(people, store),
    )
    health = HealthChecks(redis, keys, publisher)
    delivery = _open_delivery(settings, redis, keys, outbox, stats) if outbox else None
    return WorkerContext(
        settings, redis, keys, telegram, budget, schedule, people, publisher, stats, health, steps, delivery
    )  # fmt: skip


def _open_delivery(settings: Settings, redis: Redis, keys: Keys, outbox: Outbox, stats: MinuteStats) -> Delivery:
    urls = PhotoUrls(settings.url_signing_keys, settings.public_url, settings.photo_sizes)
    payloads = Payloads(urls, CacheTags(settings.init_data_secret))
    receiver, wait_for_web = Receiver(settings, PLACES), partial(wait_for_acknowledgements, redis, keys)
    return Delivery(outbox, receiver, payloads.format, wait_for_web, partial(count_event, stats))
