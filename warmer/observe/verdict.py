"""The sentence that `/ops`, `/ops.json` and `diagnose` begin with: what is wrong, since when, and what to do first.

Since when comes from what happened: heartbeats, the instants that workers note in Redis, and the minute statistics.
Every alert of deploy/monitoring/alerts.yml has a fault here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from warmer.observe import faults, rates
from warmer.observe.checks import Health
from warmer.observe.faults import Fault
from warmer.observe.rates import Minutes
from warmer.state.outbox import Undelivered

NOTICED_SECONDS = 120  # a process that notices a fault later than this has looked late: then the minutes tell
DIAGNOSE, WEBHOOK = "avatar-warmer diagnose", "avatar-warmer webhook"
# The first command of each section of docs/runbook.md, those that hurt users most first. They use the settings of the
# installation, so they work with any of them.
COMMANDS = {
    "ServiceDown": DIAGNOSE,
    "RedisAway": DIAGNOSE,
    "BrokerAway": DIAGNOSE,
    "RightsMissing": DIAGNOSE,
    "TokenRefused": DIAGNOSE,
    "TelegramUnreachable": DIAGNOSE,
    "WorkersGone": DIAGNOSE,
    "ErrorsHigh": DIAGNOSE,
    "MissesShed": DIAGNOSE,
    "QueuePilesUp": DIAGNOSE,
    "BeatMissing": DIAGNOSE,
    "TelegramPauses": DIAGNOSE,
    "HitRateLow": DIAGNOSE,
    "CachedSlow": DIAGNOSE,
    "UncachedSlow": DIAGNOSE,
    "RewarmsLate": DIAGNOSE,
    "WorkersFewer": DIAGNOSE,
    "WebhookStopped": WEBHOOK,
    "WebhookGivesUp": WEBHOOK,
    "WebhookFails": WEBHOOK,
}


@dataclass(frozen=True, slots=True)
class OtherFault:
    """A fault that hurts less than the one that the verdict is about."""

    fault: str  # its name
    sentence: str
    link: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Says that all is well, or names the fault that hurts most. Without a fault, all but the sentence is empty."""

    is_well: bool
    sentence: str  # everything for people, except the link
    fault: str  # its name
    since: int | None  # Unix time, in seconds. None if it is unknown
    hurts: str
    command: str  # the first one of the section in the runbook
    link: str  # to that section
    others: tuple[OtherFault, ...]  # the one that hurts more first


@dataclass(frozen=True, slots=True)
class Observed:
    """The sources of a verdict."""

    health: Health
    minutes: Minutes
    at: int  # Unix time of the end of the minutes, in seconds
    webhook: Undelivered | None = None  # None without a webhook
    is_web_missing: bool = False  # a web process that asks is there itself


def find_runbook(docs_url: str, public_url: str) -> str:
    """Return the address of the runbook. Without DOCS_URL and PUBLIC_URL it is relative to service and project."""
    if docs_url:
        return f"{docs_url}/runbook.html"
    return f"{public_url}/docs/runbook.md".removeprefix("/")


def make_verdict(observed: Observed, runbook: str) -> Verdict:
    """Return the verdict. `runbook` is its address."""
    found = list(_list_faults(observed))
    if not found:
        return Verdict(True, "All is well.", "", None, "", "", "", ())
    worst, *others = [(fault, f"{runbook}#{fault.name.lower()}") for fault in found]
    fault, link = worst
    return Verdict(
        is_well=False,
        sentence=f"{_date(fault, observed.at)}: {fault.effect}; {fault.first_step}.",
        fault=fault.name,
        since=fault.since,
        hurts=fault.effect,
        command=COMMANDS[fault.name],
        link=link,
        others=tuple(OtherFault(other.name, f"{_date(other, observed.at)}.", to) for other, to in others),
    )


def _date(fault: Fault, at: int) -> str:
    if fault.since is None:
        return fault.sentence
    form = "%H:%M" if at - fault.since < 12 * 3600 else "%Y-%m-%d %H:%M"
    return f"{fault.sentence}, since {datetime.fromtimestamp(fault.since, UTC):{form}} UTC"


def _list_faults(observed: Observed) -> Iterator[Fault]:
    """Every fault, the one that hurts most first."""
    health, minutes, at = observed.health, observed.minutes, observed.at
    checks = health.checks
    if observed.is_web_missing:
        yield faults.describe_web()
    yield from _list_missing_parts(health, minutes, at)
    if health.trouble.pause_seconds:
        yield faults.describe_pause()
    for find in (rates.find_errors, rates.find_shed, rates.find_queues):
        yield from find(minutes, at)
    if checks["beat"] == "missing":
        yield faults.describe_beat(_find_end(minutes, at, "due"))
    if not health.trouble.pause_seconds:
        yield from rates.find_pauses(minutes, at)
    for find in (rates.find_misses, rates.find_slow, rates.find_lateness):
        yield from find(minutes, at)
    if checks["worker"] == "fewer":
        yield faults.describe_silent(health.silent)
    if observed.webhook:
        yield from faults.list_webhook_faults(observed.webhook)
        yield from rates.find_failing_webhook(observed.webhook, minutes, at)


def _list_missing_parts(health: Health, minutes: Minutes, at: int) -> Iterator[Fault]:
    """Redis, the broker, the bot or the workers."""
    checks = health.checks
    if checks["redis"] != "ok":
        yield faults.describe_redis(health, _choose_beginning(health.noticed.get("redis"), _find_end(minutes, at)))
    if checks["broker"] != "ok":
        counted = _find_end(minutes, at, "queue:hot")
        yield faults.describe_broker(health, _choose_beginning(health.noticed.get("broker"), counted))
    if checks["bot"] not in ("ok", "unknown") and not health.is_only_paused:
        yield faults.describe_bot(health)
    if checks["worker"] == "missing":
        last = max(health.silent.values(), default=0)
        sampled = _find_end(minutes, at, "workers") or 0  # later, if the last ones said goodbye
        yield faults.describe_workers((sampled if sampled > last + 60 else last) or None)


def _find_end(minutes: Minutes, at: int, field: str = "") -> int | None:
    """Find the end of the last minute with this field, or with any, at most `at`. Returns None if no minute has it."""
    for minute, bucket in zip(range(at // 60, 0, -1), reversed(minutes), strict=False):
        if bucket.get(field) is not None if field else bucket:
            return min(60 * (minute + 1), at)
    return None


def _choose_beginning(noticed: int | None, sampled: int | None) -> int | None:
    """When this process noticed the fault; by the samples if it looked too late, or before the last good minute."""
    if noticed is None or sampled is None:
        return sampled if noticed is None else noticed
    return noticed if sampled - 60 <= noticed <= sampled + NOTICED_SECONDS else sampled
