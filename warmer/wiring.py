"""Where the parts are put together, for a worker and for the tools beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock

from redis import Redis

from warmer.broker.publish import Publisher
from warmer.celery import app
from warmer.flow.attempt import Attempts
from warmer.flow.fetch import Fetch
from warmer.flow.forget import Forget
from warmer.flow.profile import ProfileLookup
from warmer.flow.steps import FlowSteps
from warmer.images.render import render
from warmer.keys import Keys
from warmer.observe.metrics import count_call, timed, timed_each
from warmer.photo import Rendering, SourceImage, VariantSpec
from warmer.redis_client.clients import connect_worker
from warmer.settings import Settings, load_settings_or_exit
from warmer.state.budget import Budget
from warmer.state.failures import Failures
from warmer.state.lease import LeaseManager
from warmer.state.partners import PartnerDirectory
from warmer.state.photos import PhotoStore
from warmer.state.profiles import Profiles
from warmer.state.schedule import Schedule
from warmer.state.stats import MinuteStats
from warmer.telegram.client import BotApi

CONNECTIONS = 50  # to Telegram, per worker process; at least as many as threads


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """Everything one worker process works with."""

    settings: Settings
    redis: Redis
    keys: Keys
    telegram: BotApi
    budget: Budget
    schedule: Schedule
    partners: PartnerDirectory
    publisher: Publisher
    stats: MinuteStats
    steps: FlowSteps

    def close(self) -> None:
        """End the threads, write the last figures, and close the connections to Telegram and Redis."""
        self.telegram.close()
        self.stats.close()
        self.redis.close()


class _OfThisProcess:
    """Threads that come first at the same moment share one workshop."""

    lock = Lock()
    worker_context: WorkerContext | None = None


def get_worker_context() -> WorkerContext:
    """The workshop of this process, made when it is first needed."""
    with _OfThisProcess.lock:
        if _OfThisProcess.worker_context is None:
            settings = load_settings_or_exit()
            _OfThisProcess.worker_context = open_worker_context(settings, connect_worker(settings))
        return _OfThisProcess.worker_context


def close_worker_context() -> None:
    """Close the workshop of this process, if there is one."""
    with _OfThisProcess.lock:
        worker_context, _OfThisProcess.worker_context = _OfThisProcess.worker_context, None
    if worker_context is not None:
        worker_context.close()


def open_worker_context(settings: Settings, redis: Redis) -> WorkerContext:
    """Put a workshop together; it closes the client of Redis with everything else."""
    keys = Keys(settings.bot_id)
    stats = MinuteStats(redis, keys)
    on_call = partial(count_call, stats)
    telegram = BotApi(settings.telegram_bot_token, settings.telegram_api_url, connections=CONNECTIONS, on_call=on_call)
    budget = Budget(redis, keys, settings.telegram_rate)
    schedule = Schedule(redis, keys)
    store = PhotoStore(redis, keys, settings.photo_sizes, settings.photo_formats, settings.photo_ttl)
    partners = PartnerDirectory(redis, keys, settings.rewarm_partners)
    profiles = Profiles(redis, keys, settings.photo_ttl, settings.profile_check_every)
    leases = LeaseManager(redis, keys)
    publisher = Publisher(app, redis, keys, schedule, settings)
    steps = FlowSteps(
        hold=Attempts(leases, schedule, store, partners, Failures(redis, keys, stats), settings.profile_check_every),
        fetch=timed("fetch", Fetch(telegram, budget, store, settings.file_path_ttl)),
        look_up=timed("look_up", ProfileLookup(telegram, budget)),
        render=timed_each("render", partial(_render, settings.photo_formats[0])),
        put=timed("put", store.put),
        leases=leases,
        store=store,
        partners=partners,
        profiles=profiles,
        forget=Forget(partners, profiles, store, schedule),
    )
    return WorkerContext(settings, redis, keys, telegram, budget, schedule, partners, publisher, stats, steps)


def _render(first_format: str, source: SourceImage, batches: Sequence[Sequence[VariantSpec]]) -> Iterator[Rendering]:
    """The preview comes with the first format."""
    with_preview = any(spec.format == first_format for batch in batches for spec in batch)
    return render(source, batches, with_preview=with_preview)
