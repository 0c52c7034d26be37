"""The settings, the machines and the event of a simulated run."""

from __future__ import annotations

from dataclasses import dataclass

from warmer.settings import Settings, derive_hot_max
from web.wiring import THREADS

_DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}


@dataclass(frozen=True)
class Setup:
    """One run; values are seconds, or requests per second, unless a name says otherwise."""

    seconds: float
    pictures: int
    requests: float = 0.0
    zipf: float = 0.8
    is_cold: bool = False
    slice_seconds: float = 30.0

    telegram_rate: float = _DEFAULTS["telegram_rate"]
    photo_ttl: float = _DEFAULTS["photo_ttl"]
    photo_wait: float = _DEFAULTS["photo_wait"]
    hot_max: int = derive_hot_max(_DEFAULTS["telegram_rate"], _DEFAULTS["photo_wait"])
    rewarm_partners: int = _DEFAULTS["rewarm_partners"]
    warm_first: int = _DEFAULTS["warm_first"]

    web_processes: int = 2
    places: int = THREADS // 2  # waiting requests of each web process
    connections: int = 1000  # of each web process
    worker_processes: int = 2
    threads: int = 32  # of each worker process
    shards: int = 1
    hit_us: float = 250.0  # of one core of a web process
    miss_us: float = 2000.0
    call_seconds: float = 0.08
    download_seconds: float = 0.08
    task_seconds: float = 0.01  # of a warming without its two calls
    spread: float = 0.3  # a call takes up to this share more or less

    surge: float = 1.0  # factor on the requests
    surge_from: float = 0.0
    surge_until: float = 0.0
    pause_at: float = -1.0  # Telegram answers 429 from then on
    pause_seconds: float = 0.0
    loss_at: float = -1.0  # a shard is away from then on
    loss_seconds: float = 0.0
    is_replicated: bool = False  # the shard comes back with its data
