"""The assumptions about a deployment: every field is an option of `scripts/capacity`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from warmer.settings import Settings

_DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}
SIZES: tuple[int, ...] = _DEFAULTS["photo_sizes"]
VIEWS_PER_PARTNER = 0.2  # per day, unless views_per_day is given


class BadInput(ValueError):
    """A value cannot be used; the message names the option in one line."""


class Inputs(BaseModel):
    """The assumptions; the descriptions name the units."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    partners: int = Field(1_000_000, ge=1, le=1_000_000_000, description="partners with a picture")
    views_per_day: float = Field(0, ge=0, le=1e12, description="page views per day; 0: one per five partners")
    pictures_per_view: float = Field(12, gt=0, le=100, description="pictures per view that browsers do not have")
    peak_factor: float = Field(3, ge=1, le=1000, description="the busiest minute divided by the day's mean")
    zipf: float = Field(0.8, ge=0, le=2, description="exponent of the pictures' popularity; 0: uniform")
    sizes: int = Field(len(SIZES), ge=1, le=10, description="stored sizes per picture")
    formats: float = Field(1, ge=1, le=3, description="formats that clients request, mean")
    variant_bytes: float = Field(0, ge=0, le=10_000_000, description="mean bytes of a variant; 0: as measured")
    source_bytes: float = Field(26_000, gt=0, le=10_485_760, description="bytes of a download")
    hit_ratio: float = Field(0, ge=0, lt=1, description="hits of all requests; 0: computed from PHOTO_TTL and zipf")
    cache_ratio: float = Field(0, ge=0, lt=1, description="hits that need no Redis; 0: computed from PHOTO_CACHE_MB")
    photo_ttl: int = Field(_DEFAULTS["photo_ttl"], ge=60, le=31_536_000, description="PHOTO_TTL, seconds")
    photo_cache_mb: int = Field(_DEFAULTS["photo_cache_mb"], ge=0, le=4096, description="PHOTO_CACHE_MB, per process")
    telegram_rate: float = Field(_DEFAULTS["telegram_rate"], gt=0, le=1e6, description="TELEGRAM_RATE, calls/s")
    rewarm_partners: int = Field(_DEFAULTS["rewarm_partners"], ge=0, le=1_000_000, description="REWARM_PARTNERS")
    profile_check_every: int = Field(
        _DEFAULTS["profile_check_every"], ge=60, le=31_536_000, description="PROFILE_CHECK_EVERY, seconds"
    )
    churn_per_year: float = Field(4, ge=0, le=1000, description="new pictures per partner and year")
    joins_per_day: float = Field(0.002, ge=0, le=1, description="new partners per day, share of all")
    upstream_seconds: float = Field(0.15, gt=0, le=20, description="seconds per call to Telegram")
    threads: int = Field(32, ge=1, le=50, description="threads per worker process")
    replicas: int = Field(1, ge=0, le=5, description="replicas of each Redis shard")
    shard_gb: float = Field(25, gt=0, le=1000, description="memory of one Redis shard, GB")
    shard_ops: float = Field(50_000, gt=0, le=1e6, description="commands per second of one Redis shard")
    redis_headroom: float = Field(1.4, ge=1, le=3, description="memory to buy per byte in use")
    busy: float = Field(0.6, gt=0, le=1, description="load of a core at the peak, at most")
    machine_cores: int = Field(8, ge=1, le=512, description="cores per machine")

    @property
    def views_per_second(self) -> float:
        """Mean over the day."""
        return (self.views_per_day or VIEWS_PER_PARTNER * self.partners) / 86_400


def read_inputs(**given: Any) -> Inputs:
    """The defaults with these values instead; raises BadInput."""
    try:
        return Inputs(**given)
    except ValidationError as error:
        line = error.errors()[0]
        name = "--" + str(line["loc"][0]).replace("_", "-")
        raise BadInput(f"{name}: {line['msg'][0].lower()}{line['msg'][1:]} (given: {line['input']})") from None
