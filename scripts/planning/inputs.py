"""What is assumed about a deployment: every field is an option of `scripts/capacity`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from warmer.settings import Settings

_DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}
SIZES: tuple[int, ...] = _DEFAULTS["photo_sizes"]
VIEWS_PER_PARTNER = 0.2  # a day, where nothing is said


class BadInput(ValueError):
    """One line that names the option."""


class Inputs(BaseModel):
    """Frozen and checked; units stand in the descriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    partners: int = Field(1_000_000, ge=1, le=1_000_000_000, description="partners with a picture")
    views_per_day: float = Field(0, ge=0, le=1e12, description="page views a day; 0: one for every five partners")
    pictures_per_view: float = Field(12, gt=0, le=100, description="pictures a view asks for, past browsers' caches")
    peak_factor: float = Field(3, ge=1, le=1000, description="the busiest minute against the day's mean")
    zipf: float = Field(0.8, ge=0, le=2, description="exponent of the pictures' popularity; 0: all alike")
    sizes: int = Field(len(SIZES), ge=1, le=10, description="sizes of each picture that are stored")
    formats: float = Field(1, ge=1, le=3, description="formats that clients ask for, on average")
    variant_bytes: float = Field(0, ge=0, le=10_000_000, description="mean bytes of a variant; 0: as measured")
    source_bytes: float = Field(26_000, gt=0, le=10_485_760, description="bytes of a download")
    hit_ratio: float = Field(0, ge=0, lt=1, description="hits of all requests; 0: computed from PHOTO_TTL and zipf")
    shelf_ratio: float = Field(0, ge=0, lt=1, description="hits that need no Redis; 0: computed from PHOTO_CACHE_MB")
    photo_ttl: int = Field(_DEFAULTS["photo_ttl"], ge=60, le=31_536_000, description="PHOTO_TTL, seconds")
    photo_cache_mb: int = Field(_DEFAULTS["photo_cache_mb"], ge=0, le=4096, description="PHOTO_CACHE_MB, a process")
    telegram_rate: float = Field(_DEFAULTS["telegram_rate"], gt=0, le=1e6, description="TELEGRAM_RATE, calls a second")
    rewarm_partners: int = Field(_DEFAULTS["rewarm_partners"], ge=0, le=1_000_000, description="REWARM_PARTNERS")
    profile_check_every: int = Field(
        _DEFAULTS["profile_check_every"], ge=60, le=31_536_000, description="PROFILE_CHECK_EVERY, seconds"
    )
    churn_per_year: float = Field(4, ge=0, le=1000, description="new pictures of a partner a year")
    joins_per_day: float = Field(0.002, ge=0, le=1, description="new partners a day, of all")
    upstream_seconds: float = Field(0.15, gt=0, le=20, description="one call to Telegram")
    threads: int = Field(32, ge=1, le=50, description="threads of a worker process")
    replicas: int = Field(1, ge=0, le=5, description="copies of each Redis shard")
    shard_gb: float = Field(25, gt=0, le=1000, description="memory of one Redis shard, GB")
    shard_ops: float = Field(50_000, gt=0, le=1e6, description="commands a second of one Redis shard")
    redis_headroom: float = Field(1.4, ge=1, le=3, description="memory to have for each byte in use")
    busy: float = Field(0.6, gt=0, le=1, description="how busy a core may be at the peak")
    machine_cores: int = Field(8, ge=1, le=512, description="cores of one machine")

    @property
    def views_per_second(self) -> float:
        """Mean of the day."""
        return (self.views_per_day or VIEWS_PER_PARTNER * self.partners) / 86_400


def read_inputs(**given: Any) -> Inputs:
    """The inputs with these instead of the defaults; raises BadInput, which names the option."""
    try:
        return Inputs(**given)
    except ValidationError as error:
        line = error.errors()[0]
        name = "--" + str(line["loc"][0]).replace("_", "-")
        raise BadInput(f"{name}: {line['msg'][0].lower()}{line['msg'][1:]} (given: {line['input']})") from None
