"""Finds faults in the minute statistics, by the rules of the alerts in deploy/monitoring/alerts.yml.

A rule looks at whole minutes. Only errors show at once, since people see them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile

from warmer.observe.faults import BACKEND, Fault
from warmer.state.outbox import Undelivered
from warmer.state.stats import (
    CACHED_MS_MAX,
    ERROR_RATE_MAX,
    HIT_RATE_MIN,
    LATENCY_MS,
    UNCACHED_MS_MAX,
    WAITING_MAX,
)

Minutes = Sequence[Mapping[str, int]]  # buckets of the minute statistics, oldest first; the last is the current minute

REQUESTS_MIN, ERRORS_MIN = 20, 5  # of photos; fewer say nothing about a rate
QUIET_MINUTES = 5  # without a request: errors before them are another outage
SAMPLE_MINUTES_MAX = 2  # an older sample says nothing about now
FULL_MINUTES = 5  # in which more than WAITING_MAX messages wait, as for the alert
LATE_SECONDS_MAX, LATE_MINUTES = 300, 10  # of the schedule, as for the alert
WEBHOOK_MINUTES = 30  # in which the receiver takes no event: the 10 and the 20 of the alert
PAUSES_MAX = 3  # within an hour
SLOW_SHARE_MAX = 0.01  # more pictures than this are slower than the p99 may be
EFFECTS = {  # of a long queue, by its name
    "hot": "people see placeholders, because their clients wait in vain",
    "warm": "pictures of new people arrive late",
    "tick": "nothing is renewed or retried",
    "webhook": f"{BACKEND} learns late of changed pictures",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """The times of an alert, in minutes. Its condition holds in both windows, for so long."""

    window: int
    short_window: int
    lasts: int
    least: int  # more than so many requests in the window, or they say nothing


SHED = Rule(window=2, short_window=2, lasts=3, least=12)
HITS = Rule(window=30, short_window=5, lasts=15, least=180)
CACHED = Rule(window=10, short_window=2, lasts=10, least=60)
UNCACHED = Rule(window=30, short_window=10, lasts=15, least=20)
PAUSES = Rule(window=60, short_window=10, lasts=5, least=PAUSES_MAX)


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums of a figure over any of the minutes."""

    until: Sequence[int]  # the sum of all minutes before each one

    @classmethod
    def of(cls, minutes: Minutes, count: Callable[[Mapping[str, int]], int]) -> Sums:
        """Add up what `count` finds in each minute."""
        return cls(list(accumulate(map(count, minutes), initial=0)))

    def over(self, window: int, end: int) -> int:
        """Returns the sum of the minutes of a window that ends before the minute with the index `end`."""
        return self.until[end] - self.until[max(0, end - window)]


def find_errors(minutes: Minutes, at: int) -> Iterator[Fault]:
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


def find_shed(minutes: Minutes, at: int) -> Iterator[Fault]:
    """Misses that are refused at once, for some minutes."""
    shed = Sums.of(minutes, lambda bucket: bucket.get("shed", 0))
    since = _find_beginning(minutes, at, SHED, lambda end: shed.over(SHED.window, end) > SHED.least)
    if since is not None:
        number = shed.over(SHED.window, len(minutes) - 1) // SHED.window
        sentence = f"{number} misses a minute are refused at once, because too many requests wait"
        effect = "people see placeholders, and their clients retry"
        yield Fault("MissesShed", sentence, effect, "look for a flood, else start another worker", since)


def find_misses(minutes: Minutes, at: int) -> Iterator[Fault]:
    """Too many requests for pictures that were not stored."""
    limit = round(1 - HIT_RATE_MIN, 5)
    found = _find_share(
        minutes, at, HITS, limit, lambda bucket: bucket.get("misses", 0), lambda bucket: bucket.get("hits", 0)
    )
    if found:
        share, since = found
        sentence = f"{share:.0%} of the requested pictures are not stored"
        effect = "people see placeholders for a moment"
        yield Fault("HitRateLow", sentence, effect, "look whether Redis evicts pictures", since)


def find_slow(minutes: Minutes, at: int) -> Iterator[Fault]:
    """Stored pictures, then others, that take longer than the target of their p99."""
    for name, field, what, limit_ms, rule, effect, first_step in (
        ("CachedSlow", "hit_ms", "stored pictures", CACHED_MS_MAX, CACHED,
         "lists fill visibly", "look at the load of Redis and of the web machine"),
        ("UncachedSlow", "miss_ms", "pictures that are not stored", UNCACHED_MS_MAX, UNCACHED,
         "people see placeholders for a while", "look at the calls to Telegram and at the queue hot"),
    ):  # fmt: skip
        slow = _count(*(f"{field}:{bound}" for bound in LATENCY_MS if bound > limit_ms))
        fast = _count(*(f"{field}:{bound}" for bound in LATENCY_MS if bound <= limit_ms))
        if found := _find_share(minutes, at, rule, SLOW_SHARE_MAX, slow, fast):
            share, since = found
            yield Fault(name, f"{share:.0%} of the {what} take over {limit_ms} ms", effect, first_step, since)


def find_pauses(minutes: Minutes, at: int) -> Iterator[Fault]:
    """Pauses that Telegram asks for again and again."""
    pauses = Sums.of(minutes, lambda bucket: bucket.get("pauses", 0))

    def are_many(end: int) -> bool:
        return pauses.over(PAUSES.window, end) > PAUSES.least and pauses.over(PAUSES.short_window, end) > 0

    if (since := _find_beginning(minutes, at, PAUSES, are_many)) is not None:
        sentence = f"Telegram asked for {pauses.over(PAUSES.window, len(minutes) - 1)} pauses within an hour"
        effect = "new pictures arrive late, stored ones do not"
        yield Fault("TelegramPauses", sentence, effect, "lower TELEGRAM_RATE by a third", since)


def find_queues(minutes: Minutes, at: int) -> Iterator[Fault]:
    """Queues whose samples were too long for some minutes."""
    for queue, effect in EFFECTS.items():
        if found := _find_samples(minutes, at, f"queue:{queue}", WAITING_MAX, FULL_MINUTES):
            number, since = found
            yield Fault("QueuePilesUp", f"{number} jobs wait in {queue}", effect, "start another worker", since)


def find_lateness(minutes: Minutes, at: int) -> Iterator[Fault]:
    """A schedule that was late for some minutes."""
    if found := _find_samples(minutes, at, "late", LATE_SECONDS_MAX, LATE_MINUTES):
        seconds, since = found
        effect = "people notice nothing at first, but pictures become old, then cold"
        first_step = "look at the queues tick and rewarm, and at the pauses"
        yield Fault("RewarmsLate", f"The schedule is {seconds // 60} min late", effect, first_step, since)


def find_failing_webhook(webhook: Undelivered, minutes: Minutes, at: int) -> Iterator[Fault]:
    """A receiver that has taken no event for half an hour, although the workers tried."""
    if not webhook.failures or webhook.is_stopped:
        return
    first = None
    for place, bucket in enumerate(reversed(minutes)):
        if bucket.get("events:failed") or bucket.get("events:dead"):
            first = place
        if bucket.get("events:delivered"):
            break
    if first is None or first < WEBHOOK_MINUTES:
        return
    sentence = f"The receiver of the webhook takes no event, {webhook.failures} failures in a row"
    effect, first_step = f"{BACKEND} learns late of changes", "look at the log of the receiver"
    yield Fault("WebhookFails", sentence, effect, first_step, 60 * (at // 60 - first))


def _count(*fields: str) -> Callable[[Mapping[str, int]], int]:
    return lambda bucket: sum(bucket.get(field, 0) for field in fields)


def _find_share(
    minutes: Minutes,
    at: int,
    rule: Rule,
    limit: float,
    count_bad: Callable[[Mapping[str, int]], int],
    count_good: Callable[[Mapping[str, int]], int],
) -> tuple[float, int] | None:
    """The share of the bad ones and since when it is above the limit. Returns None if the rule does not hold."""
    bad, good = Sums.of(minutes, count_bad), Sums.of(minutes, count_good)

    def get_share(window: int, end: int) -> float:
        number = bad.over(window, end)
        return number / (number + good.over(window, end)) if number else 0.0

    def is_above(end: int) -> bool:
        total = bad.over(rule.window, end) + good.over(rule.window, end)
        return total > rule.least and min(get_share(rule.window, end), get_share(rule.short_window, end)) > limit

    since = _find_beginning(minutes, at, rule, is_above)
    return None if since is None else (get_share(rule.window, len(minutes) - 1), since)


def _find_beginning(minutes: Minutes, at: int, rule: Rule, holds: Callable[[int], bool]) -> int | None:
    """Find the time since which the condition holds (Unix time). Returns None if it holds for less than the rule asks.

    `holds` judges the minutes before an index. The last minute is not over, so it is left out.
    """
    number = sum(1 for _ in takewhile(holds, range(len(minutes) - 1, 0, -1)))
    return 60 * (at // 60 - number + 1) if number > rule.lasts else None


def _find_samples(minutes: Minutes, at: int, field: str, limit: int, lasts: int) -> tuple[int, int] | None:
    """Find the last sample, and since when all exceed the limit. Returns None if fewer than `lasts` samples do."""
    samples = [(place, bucket[field]) for place, bucket in enumerate(reversed(minutes)) if field in bucket]
    above = list(takewhile(lambda sample: sample[1] > limit, samples))
    if len(above) < lasts or above[0][0] > SAMPLE_MINUTES_MAX:
        return None
    return above[0][1], 60 * (at // 60 - above[-1][0])
