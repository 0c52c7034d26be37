"""The environment, read once, checked, frozen. An error names the variable.

The first source wins: the environment; `.env`; `running.env` in `DATA_DIR`, which `scripts/run` writes.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from warmer.errors import ConfigError, SettingMissing
from warmer.formats import FORMATS
from warmer.http_url import (
    HOST,
    CertificatesFile,
    Origin,
    ProxyUrl,
    PublicUrl,
    TelegramUrl,
    WebhookSecrets,
    WebhookUrl,
    is_loopback,
)
from warmer.log_line import exit_with
from warmer.redaction import Redactor
from warmer.redis_url import check_broker_url, check_redis_url, is_cluster, parse_place, split_options, to_kombu_url
from warmer.sources import is_service_link, name_places, read_values, split_commas

TELEGRAM = "https://api.telegram.org"
API_KEY_MIN = 16  # characters
MESSAGES = {  # by the type of pydantic's error
    "missing": "is missing",
    "too_short": "needs at least one key",
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "string_pattern_mismatch": "must be a name or an address, without a port and without brackets",
}
Csv = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_commas)]
Origins = Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(split_commas)]
Secrets = Annotated[tuple[SecretStr, ...], Field(min_length=1), NoDecode, BeforeValidator(split_commas)]
Sizes = Annotated[tuple[int, ...], NoDecode, BeforeValidator(split_commas)]


class Settings(BaseSettings):
    """Every setting of the service. `.env.example` explains each."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    telegram_bot_token: SecretStr
    telegram_allow_http: bool = False  # before the URLs that it permits
    telegram_api_url: TelegramUrl = TELEGRAM
    telegram_file_url: TelegramUrl = ""  # empty: telegram_api_url
    telegram_proxy: ProxyUrl | None = None
    telegram_ca_file: CertificatesFile | None = None
    telegram_test: bool = False  # Telegram's test environment
    redis_url: Annotated[str, AfterValidator(check_redis_url)] = Field(repr=False)
    celery_broker_url: str | None = Field(None, validate_default=True, repr=False)
    api_keys: Secrets
    url_signing_keys: Secrets
    init_data_max_age: int = Field(86_400, ge=1)  # seconds
    host: str = Field("0.0.0.0", pattern=HOST)  # noqa: S104 - a service is meant to be reached
    port: int = Field(8000, ge=1, le=65_535)
    public_url: PublicUrl = ""
    docs_url: PublicUrl = ""  # of the built site; empty: this service shows the pages
    cors_origins: Origins = ()
    data_dir: Path = Path("data")
    flower_port: int = Field(5555, ge=1, le=65_535)
    flower_basic_auth: SecretStr | None = None
    flower_max_tasks: int = Field(10_000, ge=1)  # jobs in Flower's memory, about 4.5 kB each
    photo_sizes: Sizes = (80, 160, 320)  # pixels, square
    photo_formats: Csv = ("webp", "jpeg")
    photo_ttl: int = Field(604_800, ge=1)  # seconds
    file_path_ttl: int = Field(7200, ge=1, le=72_000)  # seconds; Telegram keeps a path about 25 hours
    photo_cache_mb: int = Field(32, ge=0, le=4096)  # of each web process
    photo_wait: float = Field(2.0, ge=0, le=10)  # seconds
    warm_first: int = Field(4, ge=0, le=100)
    rewarm_partners: int = Field(1000, ge=0, le=1_000_000)
    profile_check_every: int = Field(21_600, ge=1)  # seconds
    telegram_rate: float = Field(12.0, gt=0, le=1_000_000)  # Bot API methods per second, all workers
    hot_max: int = Field(None, ge=0, validate_default=True)  # waiting hot tasks; unless set: derive_hot_max
    redis_maxmemory: str = "512mb"
    webhook_allow_private: bool = False  # before the URL that it permits
    webhook_url: WebhookUrl | None = Field(None, repr=False)  # its path may be a secret
    webhook_secret: Annotated[WebhookSecrets, NoDecode, BeforeValidator(split_commas)] = Field(
        (), validate_default=True
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["text", "json"] = "text"
    demo: bool = False  # set by scripts/run alone: there is no token
    page_key: SecretStr | None = None  # set by scripts/run alone, at each start: opens the pages for operators

    @field_validator("telegram_bot_token")
    @classmethod
    def _looks_like_a_token(cls, value: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[0-9]{1,20}:[A-Za-z0-9_-]+", value.get_secret_value()):
            raise ValueError("is not of the form 123456:letters, as BotFather gives it")
        return value

    @field_validator("celery_broker_url")
    @classmethod
    def _is_a_broker_url(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value and not is_cluster(value):
            check_broker_url(value)
        if is_cluster(value or str(info.data.get("redis_url", ""))):
            raise ValueError("must be a single Redis, Sentinels or RabbitMQ: Celery's queue cannot live in a cluster")
        return value

    @field_validator("hot_max", mode="before")
    @classmethod
    def _is_what_the_budget_serves(cls, value: Any, info: ValidationInfo) -> Any:
        given = {"telegram_rate": 1.0, "photo_wait": 1.0} | info.data  # a wrong one is reported on its own line
        return derive_hot_max(given["telegram_rate"], given["photo_wait"]) if value is None else value

    @field_validator("redis_maxmemory")
    @classmethod
    def _is_an_amount_of_memory(cls, value: str) -> str:
        if not re.fullmatch(r"([1-9][0-9]|[1-9][0-9]{2,})mb|[1-9][0-9]*gb", value):
            raise ValueError("must be at least 10mb, such as 512mb or 2gb")
        return value

    @field_validator("api_keys")
    @classmethod
    def _are_no_guess(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < API_KEY_MIN for key in value):
            raise ValueError(f"every key needs at least {API_KEY_MIN} characters")
        return value

    @field_validator("url_signing_keys")
    @classmethod
    def _are_long_enough(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value().encode()) < 32 for key in value):
            raise ValueError("every key needs at least 32 bytes")
        return value

    @field_validator("page_key")
    @classmethod
    def _is_long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value and len(value.get_secret_value()) < 32:
            raise ValueError("is made by scripts/run at each start, with at least 32 characters")
        return value

    @field_validator("flower_basic_auth")
    @classmethod
    def _is_user_and_password(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not re.fullmatch(r"[^:,]+:[^,]+", value.get_secret_value()):
            raise ValueError("must be user:password")
        return value

    @field_validator("photo_formats")
    @classmethod
    def _are_known_formats(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) < len(value) or not set(value) <= set(FORMATS):
            raise ValueError(f"must name some of {', '.join(FORMATS)}, each once")
        return value

    @field_validator("photo_sizes")
    @classmethod
    def _are_sensible_sizes(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not 1 <= len(value) <= 8 or len(set(value)) < len(value) or not all(16 <= size <= 640 for size in value):
            raise ValueError("must be 1 to 8 different numbers of pixels from 16 to 640")
        return tuple(sorted(value))

    @field_validator("demo")
    @classmethod
    def _demo_stays_at_home(cls, value: bool, info: ValidationInfo) -> bool:
        hosts = str(info.data.get("host", "")), urlsplit(str(info.data.get("telegram_api_url", ""))).hostname
        if value and not all(map(is_loopback, hosts)):
            raise ValueError("is for the fake Telegram on this machine only: it signs visitors in")
        return value

    @property
    def bot_id(self) -> str:
        """The public part of the token, which every Redis key starts with."""
        return self.telegram_bot_token.get_secret_value().partition(":")[0]

    @property
    def init_data_secret(self) -> str:
        """Hex of HMAC-SHA256("WebAppData", token): all that the web tier needs of the token (Mini Apps)."""
        return hmac.digest(b"WebAppData", self.telegram_bot_token.get_secret_value().encode(), hashlib.sha256).hex()

    @property
    def broker_url(self) -> str:
        """The broker as Celery spells it."""
        return to_kombu_url(self.celery_broker_url or self.redis_url)

    @property
    def broker_protocol(self) -> int:
        """The version of RESP that a broker of the Redis kind is spoken to with."""
        return int(split_options(self.celery_broker_url or self.redis_url)[1]["protocol"])

    @property
    def broker_master(self) -> str:
        """The name that Sentinels know the broker by. Empty for any other broker."""
        place = parse_place(self.celery_broker_url or self.redis_url)
        return place.master if place else ""

    @cached_property
    def redact(self) -> Redactor:
        """Redacts the token and the webhook's path in a text that is about to leave the process."""
        return Redactor(self.telegram_bot_token.get_secret_value(), self.webhook_url or "")


def derive_hot_max(telegram_rate: float, photo_wait: float) -> int:
    """As many misses as the budget serves while their clients wait, or in the second until a refused client retries."""
    return ceil(telegram_rate * max(photo_wait, 1.0))


def load_settings(**overrides: Any) -> Settings:
    """Read the settings from the environment.

    Raises ConfigError with one line for each wrong variable; a secret's value is never in it.
    """
    try:
        return Settings(**{name.lower(): value for name, value in read_values().items()} | overrides)
    except ValidationError as error:
        kind = SettingMissing if any(line["type"] == "missing" for line in error.errors()) else ConfigError
        where = f" (looked in {name_places()})" if kind is SettingMissing else ""
        raise kind("; ".join(_describe(line) for line in error.errors()) + where) from None


def load_settings_or_exit() -> Settings:
    """Read the settings from the environment. A wrong one ends the process with one line."""
    try:
        return load_settings()
    except ConfigError as error:
        exit_with(str(error))


def _describe(error: Any) -> str:
    name = str(error["loc"][0]).upper() if error["loc"] else "settings"
    message = MESSAGES.get(error["type"]) or error["msg"].removeprefix("Value error, ")
    if "number" in message and is_service_link(error["input"]):
        message = "is a link to a service (tcp://…), as Kubernetes and Docker set them: give it a number"
    return f"{name}: {message[0].lower()}{message[1:]}"
