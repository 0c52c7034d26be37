"""What can go wrong, arranged by what the caller should do about it.

WarmerError
├── ConfigError            stop the start; the message names the variable
├── Stuck                  stop waiting: nobody is there to do it
├── NotMine                end quietly: somebody else is at it, or nobody waits any more
├── Permanent              remember: asking again now would give the same answer
│   ├── NoPhoto            the person has none, hides it, or is unknown to the bot
│   ├── InvalidFileId      Telegram does not know this id
│   ├── TooBig             more bytes or pixels than we accept
│   ├── NotAnImage         the bytes are no picture we read
│   ├── Crashed            the picture ended its worker three times
│   └── GaveUp             a passing failure that did not pass
└── Transient              again later
    ├── Postponed          no token is left, or no room to decode
    ├── Busy               another worker has it in hand: whoever waits goes on waiting
    ├── Paused             Telegram asked for a pause: no worker calls it until then
    ├── TokenRejected      every call is halted until getMe passes
    ├── DeadlineExceeded   the total time of the task is over
    └── UpstreamFailed     5xx, resets, time-outs, short or odd answers
        └── TemporarilyUnavailable   400 with these words: inner failures hide in it
"""

from __future__ import annotations

from typing import ClassVar


class WarmerError(Exception):
    """The root of the tree; its message is one public line without secrets."""


class ConfigError(WarmerError):
    """A setting is missing or wrong; the message names the variable."""


class Stuck(WarmerError):
    """The broker is away, or no worker lives; the message says which."""


class NotMine(WarmerError):
    """This worker has nothing to do here; the message says why."""


class Permanent(WarmerError):
    """The same question would get the same answer: remember it.

    `cause` is the word kept in Redis; `memory_seconds` is how long the first memory lasts, it doubles with each
    repetition up to a week.
    """

    cause: ClassVar[str] = "permanent"
    memory_seconds: ClassVar[int] = 86_400


class NoPhoto(Permanent):
    """No photo, or a hidden one: the two look alike (Bot API, getUserProfilePhotos)."""

    cause = "none"
    memory_seconds = 600  # short: it changes when the person opens the bot


class InvalidFileId(Permanent):
    """Telegram answers 400 for this id, for ever."""

    cause = "invalid-file-id"


class TooBig(Permanent):
    """More bytes or pixels than the caps allow."""

    cause = "too-big"


class NotAnImage(Permanent):
    """The bytes do not decode as a picture of an allowed format."""

    cause = "not-an-image"


class Crashed(Permanent):
    """Three claims ended without an outcome: the picture ends its worker."""

    cause = "crashed"
    memory_seconds = 3600


class GaveUp(Permanent):
    """A failure that should pass did not, after as many tries as it deserves."""

    cause = "gave-up"
    memory_seconds = 3600


class Transient(WarmerError):
    """The same question may get another answer later.

    `retry_after` is in seconds, None leaves it to the backoff. `tries` bounds how often it is tried in a row before
    it counts as `GaveUp`.
    """

    tries: ClassVar[int] = 20

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Postponed(Transient):
    """Not now: no token is left, or no room to decode; no failure of this photo."""


class Busy(Transient):
    """Another worker has the picture in hand; no failure, and no end of a client's wait."""


class Paused(Transient):
    """429: Telegram asked for a pause of `retry_after` seconds, for all workers; no failure of this photo."""


class TokenRejected(Transient):
    """Telegram refuses the bot token: no call is made until getMe passes; no failure of this photo."""


class DeadlineExceeded(Transient):
    """The total deadline ended the call."""


class UpstreamFailed(Transient):
    """Telegram failed in a way that passes: 5xx, time-out, reset, short or odd answer."""


class TemporarilyUnavailable(UpstreamFailed):
    """400 `wrong file_id or the file is temporarily unavailable`: inner 429 and 5xx hide in it."""

    tries = 3
