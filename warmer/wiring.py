"""Where the parts are put together, for a worker and for the tools beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock

from redis import Redis

from warmer.budget import Budget
from warmer.celery import app
from warmer.claim import Claims
from warmer.connect import connect_worker
from warmer.desk import Desk
from warmer.due import Due
from warmer.failures import Failures
from warmer.fetch import Fetch
from warmer.forget import Forget
from warmer.hold import Hold
from warmer.images import render
from warmer.keys import Keys
from warmer.look_up import LookUp
from warmer.measures import count_call, timed, timed_each
from warmer.partners import PartnerDirectory
from warmer.photo import Cut, Original, Rendering
from warmer.profiles import Profiles
from warmer.publish import Publisher
from warmer.settings import Settings, load_settings_or_exit
from warmer.stats import MinuteStats
from warmer.store import PhotoStore
from warmer.telegram import BotApi

CONNECTIONS = 50  # to Telegram, per worker process; at least as many as threads


@dataclass(frozen=True, slots=True)
class Workshop:
    """Everything one worker process works with."""

    settings: Settings
    redis: Redis
    keys: Keys
    telegram: BotApi
    budget: Budget
    due: Due
    partners: PartnerDirectory
    publisher: Publisher
    stats: MinuteStats
    desk: Desk

    def close(self) -> None:
        """End the threads, write the last figures, and close the connections to Telegram and Redis."""
        self.telegram.close()
        self.stats.close()
        self.redis.close()


class _OfThisProcess:
    """Threads that come first at the same moment share one workshop."""

    lock = Lock()
    workshop: Workshop | None = None


def get_workshop() -> Workshop:
    """The workshop of this process, made when it is first needed."""
    with _OfThisProcess.lock:
        if _OfThisProcess.workshop is None:
            settings = load_settings_or_exit()
            _OfThisProcess.workshop = open_workshop(settings, connect_worker(settings))
        return _OfThisProcess.workshop


def close_workshop() -> None:
    """Close the workshop of this process, if there is one."""
    with _OfThisProcess.lock:
        workshop, _OfThisProcess.workshop = _OfThisProcess.workshop, None
    if workshop is not None:
        workshop.close()


def open_workshop(settings: Settings, redis: Redis) -> Workshop:
    """Put a workshop together; it closes the client of Redis with everything else."""
    keys = Keys(settings.bot_id)
    stats = MinuteStats(redis, keys)
    on_call = partial(count_call, stats)
    telegram = BotApi(settings.telegram_bot_token, settings.telegram_api_url, connections=CONNECTIONS, on_call=on_call)
    budget = Budget(redis, keys, settings.telegram_rate)
    due = Due(redis, keys)
    store = PhotoStore(redis, keys, settings.photo_sizes, settings.photo_formats, settings.photo_ttl)
    partners = PartnerDirectory(redis, keys, settings.rewarm_partners)
    profiles = Profiles(redis, keys, settings.photo_ttl, settings.profile_check_every)
    claims = Claims(redis, keys)
    publisher = Publisher(app, redis, keys, due, settings)
    desk = Desk(
        hold=Hold(claims, due, store, partners, Failures(redis, keys, stats), settings.profile_check_every),
        fetch=timed("fetch", Fetch(telegram, budget, store, settings.file_path_ttl)),
        look_up=timed("look_up", LookUp(telegram, budget)),
        render=timed_each("render", partial(_render, settings.photo_formats[0])),
        put=timed("put", store.put),
        claims=claims,
        store=store,
        partners=partners,
        profiles=profiles,
        forget=Forget(partners, profiles, store, due),
    )
    return Workshop(settings, redis, keys, telegram, budget, due, partners, publisher, stats, desk)


def _render(first_format: str, original: Original, batches: Sequence[Sequence[Cut]]) -> Iterator[Rendering]:
    """The preview comes with the first format."""
    with_preview = any(cut.format == first_format for batch in batches for cut in batch)
    return render(original, batches, with_preview=with_preview)
