"""The retry policy: what follows from each error. `warmer.flow.attempt` carries it out.

A permanent error puts the subject into the negative cache: until the entry expires, the answer is 404 and Telegram is
not called for it. A transient error schedules another attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from warmer.errors import (
    Busy,
    Crashed,
    Dropped,
    GaveUp,
    InvalidFileId,
    NoPhoto,
    NotAnImage,
    Paused,
    Permanent,
    Postponed,
    TemporarilyUnavailable,
    TokenRejected,
    TooBig,
    Transient,
    UnknownRefusal,
    Unreachable,
    Unusable,
    UpstreamFailed,
)

MINUTE, HOUR, DAY = 60, 3_600, 86_400  # seconds


@dataclass(frozen=True, slots=True)
class Retry:
    """Another attempt after a transient error."""

    max_tries: int | None  # of its kind in a row, then GaveUp; None: never given up for it
    pause_seconds: float = 0.0  # about this long until the retry; it grows after GROWS_AFTER failures in a row
    drops_hot: bool = False  # a hot job whose picture is not kept warm: a client that still wants it asks again
    drops: bool = False  # a job in any lane whose subject is not kept warm
    wakes_clients: bool = True  # clients that wait stop waiting and are told to ask again


# No retry, but an entry in the negative cache. It lasts this many seconds the first time, and twice as long each time
# that the next attempt fails, too.
NEGATIVE_CACHE_SECONDS: dict[type[Permanent], int] = {
    NoPhoto: 10 * MINUTE,  # short: it changes when the person opens the bot
    InvalidFileId: DAY,
    TooBig: DAY,
    NotAnImage: DAY,
    Crashed: HOUR,
    GaveUp: HOUR,
}
NEGATIVE_CACHE_MAX_SECONDS = 7 * DAY

# A retry. With `max_tries` it backs off: after 2, 4, 8 seconds and so on, with each failure in a row. Else it comes
# when the error says (`retry_after`), after the pause, or after a second. During a backoff or a pause no message starts
# an attempt. Unreachable says nothing about the picture, which is never given up for it. In an outage it is not
# counted, and an UnknownRefusal has the short pause of Unreachable. Otherwise the picture may be ill by itself: after
# GROWS_AFTER of them in a row the pause doubles with each one, and only subjects that are kept warm stay on the
# schedule. Unusable counts only while a good picture can be downloaded (`warmer.flow.attempt`). Otherwise it is retried
# like Unreachable.
RETRIES: dict[type[Transient], Retry] = {
    Postponed: Retry(max_tries=None, drops_hot=True),
    Dropped: Retry(max_tries=None, drops=True),
    Busy: Retry(max_tries=None, wakes_clients=False),  # the worker that has the lease will wake them
    Paused: Retry(max_tries=None),
    TokenRejected: Retry(max_tries=None),
    UpstreamFailed: Retry(max_tries=20),  # an odd answer, such as a photo without a file id
    Unreachable: Retry(max_tries=None, pause_seconds=3),  # 5xx (telegram/replies.py; download: client.py), a timeout
    UnknownRefusal: Retry(max_tries=None, pause_seconds=MINUTE),
    Unusable: Retry(max_tries=3),
    TemporarilyUnavailable: Retry(max_tries=3),
}
# Several subjects, with no good getFile in between, get the answer `temporarily unavailable`: Telegram is ill.
RETRY_OF_MANY = Retry(max_tries=None, pause_seconds=2)
GROWS_AFTER = 20
BACKOFF_MAX_SECONDS = 10 * MINUTE
BACKOFF_SPREAD = (0.8, 1.2)  # factors, at random, so that retries do not come in bursts
POSTPONE_SPREAD = (1.0, 1.1)  # never earlier than the error says

MAX_CRASHES = 3  # decodes in a row that ended their process, then Crashed


def get_negative_cache_seconds(error: Permanent) -> int:
    """Returns the seconds for which the first entry for this error lasts."""
    return next(NEGATIVE_CACHE_SECONDS[kind] for kind in type(error).__mro__ if kind in NEGATIVE_CACHE_SECONDS)


def get_kind(error: Transient) -> type[Transient]:
    """Returns the kind that this error is retried as: its class, or the nearest class above it."""
    return next(kind for kind in type(error).__mro__ if kind in RETRIES)


def get_retry(error: Transient) -> Retry:
    """Returns the retry for this error."""
    return RETRIES[get_kind(error)]


def choose_delay(error: Transient, retry: Retry, failures: int, uniform: Callable[[float, float], float]) -> float:
    """The seconds until the retry.

    `failures`: how many there were in a row, 0 for an error that is not counted.
    """
    if retry.pause_seconds and error.retry_after is None:
        doublings = min(max(0, failures - GROWS_AFTER), 20)
        return min(retry.pause_seconds * 2.0**doublings, BACKOFF_MAX_SECONDS) * uniform(*BACKOFF_SPREAD)
    if failures:
        return min(2.0**failures, BACKOFF_MAX_SECONDS) * uniform(*BACKOFF_SPREAD)
    return (error.retry_after or 1) * uniform(*POSTPONE_SPREAD)
