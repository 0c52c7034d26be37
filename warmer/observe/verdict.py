"""The sentence that `/ops`, `/ops.json` and `diagnose` begin with: what is wrong, since when, and what to do first.

Since when comes from what happened: heartbeats, the instants that workers note in Redis, and the minute statistics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile

from warmer.observe.checks import LOADING, Health
from warmer.state.stats import ERROR_RATE_MAX, WAITING_MAX

Minutes = Sequence[Mapping[str, int]]  # buckets of the minute statistics, oldest first; the last is the current minute

REQUESTS_MIN, ERRORS_MIN = 20, 5  # of photos; fewer say nothing about a rate
QUIET_MINUTES = 5  # without a request: errors before them are another outage
FULL_MINUTES = 5  # in which more than WAITING_MAX messages wait, as for the alert
NOTICED_SECONDS = 120  # a process that notices a fault later than this has looked late: then the minutes tell
PILES = {  # by queue, whom it hurts
    "hot": "people see placeholders, because their clients wait in vain",
    "warm": "pictures of new people arrive late",
    "tick": "nothing is renewed or retried",
    "webhook": "people notice nothing, but your backend learns late of changed pictures",
}
NO_NEW = "new pictures do not arrive, stored ones do"
# The first command of each section of docs/runbook.md.
COMMANDS = {
    "RedisAway": "redis-cli ping",
    "BrokerAway": "avatar-warmer diagnose",
    "RightsMissing": "avatar-warmer diagnose",
    "TokenRefused": "avatar-warmer diagnose",
    "TelegramUnreachable": "curl -sI https://api.telegram.org",
    "WorkersGone": "avatar-warmer diagnose",
    "TelegramPauses": "avatar-warmer diagnose",
    "ErrorsHigh": "avatar-warmer diagnose",
    "QueuePilesUp": "avatar-warmer diagnose",
    "BeatMissing": "avatar-warmer diagnose",
    "WorkersFewer": "avatar-warmer diagnose",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong."""

    name: str  # of its alert and of its section in the runbook
    what: str  # is wrong
    hurts: str  # whom, and how
    first: str  # what to do first
    since: int | None = None  # Unix time, in seconds; None: unknown


@dataclass(frozen=True, slots=True)
class Further:
    """A fault that hurts less than the one that the verdict is about."""

    fault: str  # its name
    sentence: str
    link: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether all is well, or the fault that hurts most. Without a fault, all but the sentence is empty."""

    is_well: bool
    sentence: str  # everything for people, except the link
    fault: str  # its name
    since: int | None  # Unix time, in seconds; None: unknown
    hurts: str
    command: str  # the first one of the section in the runbook
    link: str  # to that section
    others: tuple[Further, ...]  # the one that hurts more first


def find_runbook(docs_url: str, public_url: str) -> str:
    """Where the runbook is. Without DOCS_URL and PUBLIC_URL: relative to the service, and to the project's folder."""
    if docs_url:
        return f"{docs_url}/runbook.html"
    return f"{public_url}/docs/runbook.md".removeprefix("/")


def make_verdict(health: Health, minutes: Minutes, at: int, runbook: str) -> Verdict:
    """The verdict from the checks. `minutes` up to `at` (Unix time); `runbook`: where it is."""
    faults = list(_list_faults(health, minutes, at))
    if not faults:
        return Verdict(True, "All is well.", "", None, "", "", "", ())
    worst, *others = [(fault, f"{runbook}#{fault.name.lower()}") for fault in faults]
    fault, link = worst
    return Verdict(
        is_well=False,
        sentence=f"{_name(fault, at)}: {fault.hurts}; {fault.first}.",
        fault=fault.name,
        since=fault.since,
        hurts=fault.hurts,
        command=COMMANDS[fault.name],
        link=link,
        others=tuple(Further(other.name, f"{_name(other, at)}.", to) for other, to in others),
    )


def _name(fault: Fault, at: int) -> str:
    if fault.since is None:
        return fault.what
    form = "%H:%M" if at - fault.since < 12 * 3600 else "%Y-%m-%d %H:%M"
    return f"{fault.what}, since {datetime.fromtimestamp(fault.since, UTC):{form}} UTC"


def _list_faults(health: Health, minutes: Minutes, at: int) -> Iterator[Fault]:
    """Every fault, the one that hurts most first."""
    checks, trouble = health.checks, health.trouble
    if checks["redis"] != "ok":
        yield _describe_redis(health, _choose_beginning(health.noticed.get("redis"), _find_end(minutes, at)))
    if checks["broker"] != "ok":
        counted = _find_end(minutes, at, "queue:hot")
        yield _describe_broker(health, _choose_beginning(health.noticed.get("broker"), counted))
    is_only_paused = trouble.pause_seconds and not (trouble.ill or trouble.unanswered_since)
    if checks["bot"] not in ("ok", "unknown") and not (checks["bot"] == "unreachable" and is_only_paused):
        yield _describe_bot(health)
    if checks["worker"] == "missing":
        last = max(health.silent.values(), default=0)
        sampled = _find_end(minutes, at, "workers") or 0  # later, if the last ones said goodbye
        since = (sampled if sampled > last + 60 else last) or None
        yield Fault("WorkersGone", "No worker is alive", NO_NEW, "start the workers again", since)
    if trouble.pause_seconds:
        yield Fault("TelegramPauses", "Telegram asked for a pause", NO_NEW, "wait until it ends")
    yield from _find_errors(minutes, at)
    yield from _find_queues(minutes, at)
    if checks["beat"] == "missing":
        hurts = "people notice nothing at first, but nothing is renewed or retried: after hours pictures are cold"
        yield Fault("BeatMissing", "Beat is not running", hurts, "start beat again", _find_end(minutes, at, "due"))
    if checks["worker"] == "fewer":
        yield _describe_silent(health.silent)


def _describe_silent(silent: Mapping[str, int]) -> Fault:
    are_gone = f"The worker {next(iter(silent))} is gone"
    first = "start it again"
    if len(silent) > 1:
        are_gone, first = f"The workers {', '.join(sorted(silent))} are gone", "start them again"
    hurts = "people notice nothing as long as the others keep up"
    return Fault("WorkersFewer", are_gone, hurts, first, min(silent.values()))


def _describe_redis(health: Health, since: int | None) -> Fault:
    why = f" ({health.reason})" if health.reason else ""
    hurts = "people see pictures of the last minute at most, everything else is answered 503"
    if health.checks["redis"] == "denied":
        what, began = f"Redis denies {' '.join(health.denied) or 'a right'}", health.noticed.get("redis")
        hurts = "stored pictures arrive, others may be answered 503" if health.can_read else hurts
        return Fault("RightsMissing", what, hurts, "grant it to the user of REDIS_URL", began)
    if health.can_read:
        hurts = "stored pictures arrive, but registrations and new pictures fail"
        return Fault("RedisAway", f"Redis takes no writes{why}", hurts, "look at its memory, disk and role", since)
    first = "wait until it has loaded them" if health.reason == LOADING else "start it again"
    return Fault("RedisAway", f"Redis is away{why}", hurts, first, since)


def _describe_broker(health: Health, since: int | None) -> Fault:
    hurts = "stored pictures arrive, others are answered 503"
    if health.broker_denied:
        what = f"The broker denies {' '.join(health.broker_denied)}"
        hurts = "workers and Flower lose it every second, so new pictures may arrive late"
        return Fault("RightsMissing", what, hurts, "grant it to the user of the broker", since)
    if health.checks["broker"] == "denied":
        first = "look at the rights of the user in CELERY_BROKER_URL"
        return Fault("RightsMissing", "The broker denies a right", hurts, first, since)
    return Fault("BrokerAway", "The broker is away", hurts, "start it again", since)


def _describe_bot(health: Health) -> Fault:
    state, trouble = health.checks["bot"], health.trouble
    if state == "unauthorized":
        what, first = "Telegram refuses the bot token", "set TELEGRAM_BOT_TOKEN to the current one of the same bot"
        return Fault("TokenRefused", what, NO_NEW, first, trouble.halted_since or None)
    if state == "logged_out":
        what, first = "The bot is logged out at Telegram", "set TELEGRAM_API_URL to the server that it logged in to"
        return Fault("TokenRefused", what, NO_NEW, first, trouble.halted_since or None)
    first = "look at the network, the proxy or your Bot API server; if Telegram itself is down, wait"
    if all(status.bot != "ok" for status in health.workers):
        return Fault("TelegramUnreachable", "Telegram is unreachable", NO_NEW, first, trouble.unanswered_since or None)
    what = f"Telegram answers getMe, but {', '.join(trouble.ill)} fails for every picture"
    return Fault("TelegramUnreachable", what, NO_NEW, first, trouble.ill_since or None)


def _find_errors(minutes: Minutes, at: int) -> Iterator[Fault]:
    """More errors than the target allows, now: in this minute, or with the one before if there are few requests.

    A minute that follows an empty one is left out: it also holds counts that could not be written before.
    """
    now, number = Counter[str](), 0  # of minutes
    while number < min(2, len(minutes) - 1) and now["requests"] < REQUESTS_MIN and minutes[-2 - number]:
        number += 1
        now.update(minutes[-number])
    if now["requests"] < REQUESTS_MIN or now["errors"] < max(ERRORS_MIN, ERROR_RATE_MAX * now["requests"]):
        return
    first, quiet = at // 60, 0
    for place, bucket in enumerate(reversed(minutes)):
        quiet = 0 if bucket.get("requests") else quiet + 1
        if bucket.get("errors", 0) > ERROR_RATE_MAX * bucket.get("requests", 0):
            first = at // 60 - place
        elif quiet > QUIET_MINUTES or (not quiet and place >= number):
            break
    yield Fault(
        "ErrorsHigh",
        f"{now['errors'] / now['requests']:.0%} of the photo requests fail",
        "people see a placeholder, and their clients retry",
        "look at the calls to Telegram and at the last failures",
        60 * first,
    )


def _find_queues(minutes: Minutes, at: int) -> Iterator[Fault]:
    """Queues whose samples were too long for some minutes."""
    for queue, hurts in PILES.items():
        field = f"queue:{queue}"
        samples = [(place, bucket[field]) for place, bucket in enumerate(reversed(minutes)) if field in bucket]
        long = list(takewhile(lambda sample: sample[1] > WAITING_MAX, samples))
        if len(long) >= FULL_MINUTES and long[0][0] <= 2:  # the last sample is of now
            since = 60 * (at // 60 - long[-1][0])
            yield Fault("QueuePilesUp", f"{long[0][1]} jobs wait in {queue}", hurts, "start another worker", since)


def _find_end(minutes: Minutes, at: int, field: str = "") -> int | None:
    """The end of the last minute with this field, or with any; at most `at`. None if no minute has it."""
    for minute, bucket in zip(range(at // 60, 0, -1), reversed(minutes), strict=False):
        if bucket.get(field) is not None if field else bucket:
            return min(60 * (minute + 1), at)
    return None


def _choose_beginning(noticed: int | None, sampled: int | None) -> int | None:
    """When this process noticed the fault; by the samples if it looked too late, or before the last good minute."""
    if noticed is None or sampled is None:
        return sampled if noticed is None else noticed
    return noticed if sampled - 60 <= noticed <= sampled + NOTICED_SECONDS else sampled
