"""Describes the faults that the checks and the webhook show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from warmer.observe.checks import LOADING, Health
from warmer.state.outbox import Undelivered

NO_NEW = "new pictures do not arrive, stored ones do"
BACKEND = "people notice nothing, but your backend"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong."""

    name: str  # of its alert and of its section in the runbook
    sentence: str
    effect: str  # on users
    first_step: str
    since: int | None = None  # Unix time, in seconds. None if it is unknown


def describe_web() -> Fault:
    """No web process answers."""
    effect = "people see no pictures, except copies in browsers and CDNs"
    return Fault("ServiceDown", "No web process is running", effect, "start web again")


def describe_workers(since: int | None) -> Fault:
    """No worker is alive."""
    return Fault("WorkersGone", "No worker is alive", NO_NEW, "start the workers again", since)


def describe_beat(since: int | None) -> Fault:
    """Beat is missing."""
    effect = "people notice nothing at first, but nothing is renewed or retried: after hours pictures are cold"
    return Fault("BeatMissing", "Beat is not running", effect, "start beat again", since)


def describe_pause() -> Fault:
    """Telegram asked for a pause that is not over."""
    return Fault("TelegramPauses", "Telegram asked for a pause", NO_NEW, "wait until it ends")


def describe_silent(silent: Mapping[str, int]) -> Fault:
    """Workers that ended without a goodbye, by name, with their last heartbeats."""
    are_gone = f"The worker {next(iter(silent))} is gone"
    first_step = "start it again"
    if len(silent) > 1:
        are_gone, first_step = f"The workers {', '.join(sorted(silent))} are gone", "start them again"
    effect = "people notice nothing as long as the others keep up"
    return Fault("WorkersFewer", are_gone, effect, first_step, min(silent.values()))


def describe_redis(health: Health, since: int | None) -> Fault:
    """Redis answers nothing, takes no writes, or denies a right."""
    why = f" ({health.reason})" if health.reason else ""
    effect = "people see pictures of the last minute at most, everything else is answered 503"
    if health.checks["redis"] == "denied":
        sentence, began = f"Redis denies {' '.join(health.denied) or 'a right'}", health.noticed.get("redis")
        effect = "stored pictures arrive, others may be answered 503" if health.can_read else effect
        return Fault("RightsMissing", sentence, effect, "grant it to the user of REDIS_URL", began)
    if health.can_read:
        effect = "stored pictures arrive, but registrations and new pictures fail"
        return Fault("RedisAway", f"Redis takes no writes{why}", effect, "look at its memory, disk and role", since)
    first_step = "wait until it has loaded them" if health.reason == LOADING else "start it again"
    return Fault("RedisAway", f"Redis is away{why}", effect, first_step, since)


def describe_broker(health: Health, since: int | None) -> Fault:
    """The broker is away, or denies a right."""
    effect = "stored pictures arrive, others are answered 503"
    if health.broker_denied:
        sentence = f"The broker denies {' '.join(health.broker_denied)}"
        effect = "workers and Flower lose it every second, so new pictures may arrive late"
        return Fault("RightsMissing", sentence, effect, "grant it to the user of the broker", since)
    if health.checks["broker"] == "denied":
        first_step = "look at the rights of the user in CELERY_BROKER_URL"
        return Fault("RightsMissing", "The broker denies a right", effect, first_step, since)
    return Fault("BrokerAway", "The broker is away", effect, "start it again", since)


def describe_bot(health: Health) -> Fault:
    """Telegram refuses the bot, or does not answer."""
    state, trouble = health.checks["bot"], health.trouble
    if state == "unauthorized":
        sentence = "Telegram refuses the bot token"
        first_step = "set TELEGRAM_BOT_TOKEN to the current one of the same bot"
        return Fault("TokenRefused", sentence, NO_NEW, first_step, trouble.halted_since or None)
    if state == "logged_out":
        sentence = "The bot is logged out at Telegram"
        first_step = "set TELEGRAM_API_URL to the server that it logged in to"
        return Fault("TokenRefused", sentence, NO_NEW, first_step, trouble.halted_since or None)
    sentence, since = "Telegram is unreachable", trouble.unanswered_since
    if any(status.bot == "ok" for status in health.workers):
        sentence = f"Telegram answers getMe, but {', '.join(trouble.ill)} fails for every picture"
        since = trouble.ill_since
    first_step = "look at the network, the proxy or your Bot API server; if Telegram itself is down, wait"
    return Fault("TelegramUnreachable", sentence, NO_NEW, first_step, since or None)


def list_webhook_faults(webhook: Undelivered) -> Iterator[Fault]:
    """The receiver wants no more events, or events were given up."""
    if webhook.is_stopped:
        sentence = "The receiver of the webhook answered 410 and gets no more events"
        first_step = "repair the receiver, then run avatar-warmer webhook --resume"
        yield Fault("WebhookStopped", sentence, f"{BACKEND} learns of no change", first_step)
    if webhook.dead:
        ids = "1 id" if len(webhook.dead) == 1 else f"{len(webhook.dead)} ids"
        effect, first_step = f"{BACKEND} missed a change of each", "send these ids to POST /api/photos/refresh"
        since = min(event.at for event in webhook.dead)
        yield Fault("WebhookGivesUp", f"Events of {ids} were given up", effect, first_step, since)
