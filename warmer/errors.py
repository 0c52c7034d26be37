"""What can go wrong, arranged by what the caller should do about it.

WarmerError
├── ConfigError            stop the start; the message names the variable
│   └── SettingMissing     it may be in a place that this process does not read
├── Stuck                  stop waiting: no worker can do it
├── NotMine                end quietly: another worker has the lease, or the subject is forgotten
├── Permanent              negative cache: the same call would get the same answer
│   ├── NoPhoto            the person has none, hides it, or is unknown to the bot (Bot API, getUserProfilePhotos)
│   ├── InvalidFileId      Telegram does not know this id: it always answers 400
│   ├── TooBig             more bytes or pixels than the caps allow
│   ├── NotAnImage         the bytes do not decode as a picture in an allowed format
│   ├── Crashed            three decodes ended their process: the picture crashes its worker
│   └── GaveUp             a transient failure came back in every attempt
└── Transient              retry
    ├── Postponed          no token is left, or no memory to decode
    │   └── Dropped        its picture keeps failing: a client that wants it asks again
    ├── Busy               another job finishes it: clients that wait keep waiting
    ├── Paused             Telegram asked for a pause: no worker calls it until then
    ├── TokenRejected      about the bot, not a picture: every call is halted until getMe passes
    └── UpstreamFailed     an odd answer: it says nothing about the picture
        ├── Unreachable              no connection, a timeout, a reset, 5xx, or an answer that Telegram did not write
        │   ├── InOutage             no call was made: it fails for every subject, and another job probes it
        │   ├── DeadlineExceeded     the total time of the job is over, however it was spent
        │   ├── Unusable             a download that is no whole picture: it counts while a good one comes whole
        │   │   ├── NotAFile         text, or nothing
        │   │   └── CutOff           a picture without its end
        │   └── UnknownRefusal       400 or 403 in unknown words: call getMe
        └── TemporarilyUnavailable   400 with these words: it hides internal failures of Telegram

`warmer.flow.retry` says for how long, after how many seconds, and how often.
"""

from __future__ import annotations

from typing import ClassVar, Literal

BotTrouble = Literal["unauthorized", "logged_out"]  # as /readyz says it


class WarmerError(Exception):
    """The root of the tree; its message is one public line without secrets."""


class ConfigError(WarmerError):
    """A setting is missing or wrong; the message names the variable."""


class SettingMissing(ConfigError):
    """At least one required setting is missing; the message also says where it was looked for."""


class Stuck(WarmerError):
    """The broker is away, or no worker is running; the message says which."""


class NotMine(WarmerError):
    """This worker has no lease, or lost it; the message says why."""


class Permanent(WarmerError):
    """The same call would get the same answer. `cause` is the word for it in Redis, metrics and logs."""

    cause: ClassVar[str] = "permanent"


class NoPhoto(Permanent):
    cause = "none"


class InvalidFileId(Permanent):
    cause = "invalid-file-id"


class TooBig(Permanent):
    cause = "too-big"


class NotAnImage(Permanent):
    cause = "not-an-image"


class Crashed(Permanent):
    cause = "crashed"


class GaveUp(Permanent):
    cause = "gave-up"


class Transient(WarmerError):
    """The same call may get another answer later, after `retry_after` seconds if that is known."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Postponed(Transient):
    """No token is left, or no memory to decode; no failure of this photo."""


class Dropped(Postponed):
    """The picture of this person keeps failing and has left the schedule: so does the person, unless kept warm."""


class Busy(Transient):
    """Another worker is working on the picture, or the next job announces it to the rest; no failure."""


class Paused(Transient):
    """429: Telegram asked for a pause of `retry_after` seconds, for all workers; no failure of this photo."""


class TokenRejected(Transient):
    """Telegram refuses the bot, whatever is asked: no call is made until getMe passes; no failure of this photo.

    `trouble` says why: a wrong token, or a bot that is logged out here.
    """

    def __init__(self, message: str, retry_after: float | None = None, trouble: BotTrouble = "unauthorized") -> None:
        super().__init__(message, retry_after)
        self.trouble: BotTrouble = trouble


class UpstreamFailed(Transient):
    """Telegram failed for now."""


class Unreachable(UpstreamFailed):
    """Telegram did not answer: no connection, a timeout, a reset, 5xx, a malformed answer. Many of these are an outage.

    `method`: the call that failed, "download" included. The budget sets it.
    """

    method: str = ""


class InOutage(Unreachable):
    """The call fails for every subject, and another job probes it: this job made none."""


class DeadlineExceeded(Unreachable):
    """The total deadline ended the call, or came before it."""


class Unusable(Unreachable):
    """A download with status 200 that is no whole picture.

    It counts against the picture only while this process can download a good one.
    """


class NotAFile(Unusable):
    """It holds text or nothing. A captive portal may have written it."""


class CutOff(Unusable):
    """It lacks its end, and nothing says that Telegram has no more of it. A proxy may have cut it."""


class UnknownRefusal(Unreachable):
    """400 or 403 in unknown words. It says nothing about the picture, but maybe something about the bot: call getMe.

    If good subjects are refused, too, it is an outage.
    """


class TemporarilyUnavailable(UpstreamFailed):
    """400 `wrong file_id or the file is temporarily unavailable`: it hides internal 429 and 5xx of Telegram."""
