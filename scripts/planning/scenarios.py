"""Bad days of a deployment with ten million partners, each also with changed settings."""

from __future__ import annotations

from dataclasses import dataclass, replace

from planning.costs import Costs
from planning.inputs import Inputs, read_inputs
from planning.model import make_plan
from planning.setup import Setup
from planning.timeline import REFUSALS, Refusal, Timeline
from warmer.settings import derive_hot_max

PARTNERS = 10_000_000
PHOTO_TTL = 30 * 86_400  # seconds: with a week, ten million pictures expire faster than TELEGRAM_RATE fetches them
START, HOUR = 600.0, 3600.0  # seconds
SHARE_THAT_BREAKS = 0.01  # of the misses of a slice, refused for one cause


@dataclass(frozen=True)
class Scenario:
    """A bad day, and the same day with other settings, by a name for the change."""

    name: str
    title: str
    base: Setup
    changes: dict[str, Setup]

    def list_runs(self) -> dict[str, Setup]:
        """Every run by its name."""
        return {"as it is": self.base, **self.changes}


@dataclass(frozen=True)
class Outcome:
    """The result of a run, from the event on."""

    misses: int
    served_share: float  # of the misses: answered with the picture within PHOTO_WAIT
    wait_p50: float  # seconds, of the served misses
    wait_p99: float
    hit_ratio_low: float  # of the worst slice
    hit_ratio_end: float  # of the last slice
    calls_per_second: float  # getFile
    refused: dict[str, int]  # by cause
    broke_first: str  # the first cause that refused more than a hundredth of a slice's requests or misses


def list_inputs() -> Inputs:
    """The assumptions about the deployment of the scenarios."""
    return read_inputs(partners=PARTNERS, photo_ttl=PHOTO_TTL)


def _plan_deployment(costs: Costs) -> Setup:
    """The deployment, with the processes and shards of the model's plan."""
    given = list_inputs()
    plan = make_plan(given, costs)
    return Setup(
        seconds=START + 2 * HOUR,
        pictures=given.partners,
        requests=given.views_per_second * given.pictures_per_view,
        zipf=given.zipf,
        photo_ttl=float(given.photo_ttl),
        web_processes=plan.web_processes,
        worker_processes=plan.worker_processes,
        shards=plan.redis_shards,
        hit_us=costs.redis_hit.web_us,
        miss_us=costs.miss.web_us,
        call_seconds=given.upstream_seconds,
        download_seconds=given.upstream_seconds,
        task_seconds=costs.warming.worker_us * 1e-6,
    )


def list_scenarios(costs: Costs) -> list[Scenario]:
    """All scenarios."""
    base = _plan_deployment(costs)
    cold = replace(base, is_cold=True)
    viral = replace(base, surge=20.0, surge_from=START, surge_until=START + HOUR)
    many = replace(viral, web_processes=4 * base.web_processes)
    loss = replace(base, loss_at=START, loss_seconds=15.0)
    pause = replace(base, seconds=START + HOUR, pause_at=START, pause_seconds=120.0)
    hot_max_at_30 = derive_hot_max(30.0, base.photo_wait)
    return [
        Scenario("cold", "A cold start", cold, {
            "HOT_MAX=200": replace(cold, hot_max=200),
            "TELEGRAM_RATE=30": replace(cold, telegram_rate=30.0, hot_max=hot_max_at_30),
        }),
        Scenario("viral", "A viral hour, 20 × the requests", viral, {
            f"{many.web_processes} web processes": many,
            f"{many.web_processes} web processes, HOT_MAX=200": replace(many, hot_max=200),
        }),
        Scenario("shard", "A lost shard", loss, {
            "a replica": replace(loss, is_replicated=True),
            "TELEGRAM_RATE=30": replace(loss, telegram_rate=30.0, hot_max=hot_max_at_30),
        }),
        Scenario("pause", "Telegram pauses for two minutes", pause, {
            "PHOTO_TTL of 90 days": replace(pause, photo_ttl=3.0 * PHOTO_TTL),
        }),
    ]  # fmt: skip


def sum_up(setup: Setup, timeline: Timeline) -> Outcome:
    """Sum up the slices from the event on."""
    first = 0 if setup.is_cold else int(START / timeline.slice_seconds)
    slices = timeline.slices[first:]
    misses = sum(one.counts["misses"] for one in slices)
    ratios = [one.hit_ratio for one in slices]
    refused = {name: sum(one.counts[name] for one in slices) for name in REFUSALS}
    return Outcome(
        misses=misses,
        served_share=sum(len(one.waits) for one in slices) / max(1, misses),
        wait_p50=timeline.percentile(50, first),
        wait_p99=timeline.percentile(99, first),
        hit_ratio_low=min(ratios),
        hit_ratio_end=ratios[-1],
        calls_per_second=sum(one.counts["getFile"] for one in slices) / (len(slices) * timeline.slice_seconds),
        refused={name: number for name, number in refused.items() if number},
        broke_first=_find_first(timeline, first),
    )


def _find_first(timeline: Timeline, first: int) -> str:
    """The cause with the most refusals in the first slice where a cause exceeds SHARE_THAT_BREAKS."""
    for one in timeline.slices[first:]:
        whole: dict[Refusal, int] = {"web": one.counts["hits"], "shard": one.counts["hits"]}
        shares = {name: one.counts[name] / max(1, whole.get(name, one.counts["misses"])) for name in REFUSALS}
        worst = max(shares, key=lambda name: shares[name])
        if shares[worst] > SHARE_THAT_BREAKS:
            return REFUSALS[worst]
    return "nothing"
