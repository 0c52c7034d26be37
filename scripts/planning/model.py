"""The model: from assumptions and measured costs to the hardware to buy. Figures are of the peak."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil

from planning.costs import Costs, Work
from planning.inputs import Inputs
from planning.popularity import Popularity
from warmer.worker.beat_rounds import TICK_SHARE
from web.photos.cache import OVERHEAD_BYTES

DAY, YEAR = 86_400, 31_536_000  # seconds
MICRO = 1e-6
MIN_PROCESSES = 2  # of each kind: one may restart


@dataclass(frozen=True)
class Traffic:
    """Rates per second, at the peak."""

    requests: float
    hit_ratio: float
    cache_ratio: float
    misses: float
    warmings: float
    stored_pictures: float
    renewals: float
    telegram_calls: float  # getFile; a profile look-up per join and per check


@dataclass(frozen=True)
class Plan(Traffic):
    """The needs of a deployment at the peak."""

    telegram_rate_needed: float  # the setting; calls leave a tenth of it unused
    is_rate_enough: bool
    cold_hours: float  # to warm every picture cold, at TELEGRAM_RATE
    can_all_be_warm: bool  # before the first of them expires
    redis_gb: float  # of one copy, in use
    redis_commands: float
    redis_shards: int
    redis_servers: int  # including replicas
    redis_total_gb: float  # memory to buy, including headroom and replicas
    web_cores: float
    web_processes: int
    worker_cores: float
    worker_processes: int
    machines: int  # for web and workers
    network_out_mbit: float  # to clients
    network_in_mbit: float  # from Telegram
    redis_out_mbit: float  # from Redis to the web tier and the workers


def make_plan(given: Inputs, costs: Costs) -> Plan:
    """Compute the plan."""
    traffic = _estimate_traffic(given, costs)
    load, gigabytes = _load(given, costs, traffic), _count_bytes(given, costs, traffic.stored_pictures) / 1e9
    shards = max(1, ceil(gigabytes * given.redis_headroom / given.shard_gb), ceil(load.commands / given.shard_ops))
    web_cores = load.web_us * MICRO / given.busy
    worker_cores = load.worker_us * MICRO / given.busy
    threads = traffic.warmings * 2 * given.upstream_seconds / given.busy  # two calls per picture
    web_processes = max(MIN_PROCESSES, ceil(web_cores))
    worker_processes = max(MIN_PROCESSES, ceil(worker_cores), ceil(threads / given.threads))
    cold_seconds = given.partners / (TICK_SHARE * given.telegram_rate)
    return Plan(
        **asdict(traffic),
        telegram_rate_needed=traffic.telegram_calls / TICK_SHARE,
        is_rate_enough=traffic.telegram_calls <= TICK_SHARE * given.telegram_rate,
        cold_hours=cold_seconds / 3600,
        can_all_be_warm=cold_seconds < given.photo_ttl,
        redis_gb=gigabytes,
        redis_commands=load.commands,
        redis_shards=shards,
        redis_servers=shards * (1 + given.replicas),
        redis_total_gb=gigabytes * given.redis_headroom * (1 + given.replicas),
        web_cores=web_cores,
        web_processes=web_processes,
        worker_cores=worker_cores,
        worker_processes=worker_processes,
        machines=max(MIN_PROCESSES, ceil((web_processes + ceil(worker_cores)) / given.machine_cores)),
        network_out_mbit=traffic.requests * (costs.answer_bytes + _picture_bytes(given, costs)) * 8e-6,
        network_in_mbit=traffic.warmings * given.source_bytes * 8e-6,
        redis_out_mbit=load.redis_bytes_out * 8e-6,
    )


def _estimate_traffic(given: Inputs, costs: Costs) -> Traffic:
    """The stored pictures follow from the day's mean: they live longer than a peak."""
    popularity = Popularity(given.partners, given.zipf)
    mean = given.views_per_second * given.pictures_per_view
    peak = mean * given.peak_factor
    changes = given.partners * given.churn_per_year / YEAR * min(1, mean * given.photo_ttl / given.partners)
    misses, stored = popularity.split(mean, given.photo_ttl)
    kept = min(given.rewarm_partners, given.partners)
    if given.hit_ratio:
        misses = mean * (1 - given.hit_ratio)
    misses = min(mean, misses + changes) * given.peak_factor
    joins = given.partners * given.joins_per_day / DAY * given.peak_factor
    return Traffic(
        requests=peak,
        hit_ratio=1 - misses / peak,
        cache_ratio=given.cache_ratio or _share_from_cache(given, costs, popularity, peak),
        misses=misses,
        warmings=misses + joins,
        stored_pictures=max(stored, kept),
        renewals=kept / (given.photo_ttl / 2),
        telegram_calls=misses + 2 * joins + kept / given.profile_check_every,
    )


def _share_from_cache(given: Inputs, costs: Costs, popularity: Popularity, requests: float) -> float:
    """Share of the hits from a web process' response cache; each process gets its share of the requests."""
    processes = max(MIN_PROCESSES, ceil(requests * costs.redis_hit.web_us * MICRO / given.busy))
    room = given.photo_cache_mb * 1e6 / (_picture_bytes(given, costs) + OVERHEAD_BYTES)
    age = popularity.find_age(requests / processes, room, 60.0)
    missed, _ = popularity.split(requests / processes, age)
    return 1 - missed / (requests / processes)


def _picture_bytes(given: Inputs, costs: Costs) -> float:
    return given.variant_bytes or costs.memory.variant_bytes


def _count_bytes(given: Inputs, costs: Costs, stored: float) -> float:
    """Bytes of Redis for partners and for stored pictures."""
    memory = costs.memory
    variants = given.sizes * given.formats * (_picture_bytes(given, costs) + memory.variant_overhead)
    kept = min(given.rewarm_partners, given.partners)
    records = given.partners * (memory.record + memory.shown_by) + 2 * kept * memory.due
    return records + stored * (variants + memory.preview)


def _load(given: Inputs, costs: Costs, traffic: Traffic) -> Work:
    """The cost of one second at the peak."""
    hits = traffic.requests - traffic.misses
    from_cache = hits * traffic.cache_ratio
    checks = min(given.rewarm_partners, given.partners) / given.profile_check_every
    pieces = [
        (costs.cache_hit, from_cache),
        (costs.redis_hit, hits - from_cache),
        (costs.miss, traffic.misses),
        (costs.warming, traffic.warmings),
        (costs.tick, traffic.renewals + checks),
        (costs.listing, given.views_per_second * given.peak_factor),
        (costs.idle, 1.0),
    ]
    return Work.add(*pieces)
