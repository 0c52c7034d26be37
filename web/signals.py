"""What happens in the web tier, one signal a line; the sender is the app.

Signals only announce: `announce` ignores what a receiver returns, and logs what it raises. The receivers of this
project are in `receivers`, `observe.metrics` and `observe.request_log`.

The signals of the photo routes are sent outside of Flask: there is no request and no current app, only the sender.
Those about an answer (served, not found, not served) also carry kind, method, request_id: str, and seconds: float. For
the others `warmer.request_id.get_request_id` returns the id of the request; if clients share a look at Redis
(web/photos/flights.py), the id of the first one's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from blinker import NamedSignal, Namespace
from flask import Flask

_signals = Namespace()
_own: set[int] = set()  # the receivers of this project, by blinker's key
Receiver = TypeVar("Receiver", bound=Callable[..., Any])
log = logging.getLogger(__name__)

photo_missed = _signals.signal("photo-missed")  # subject: str, wanted: VariantSpec | None; requests nothing
photo_served = _signals.signal("photo-served")  # subject: str, status: str, was_hit: bool; 200 or 304
photo_not_found = _signals.signal("photo-not-found")  # subject: str; 404
photo_not_served = _signals.signal("photo-not-served")  # status: int; any answer but 200 and 304
photo_overloaded = _signals.signal("photo-overloaded")  # subject: str; 503 at once: too many wait, or no broker
partners_listed = _signals.signal("partners-listed")  # subjects: list[str], not ready, in the order of the list
partner_registered = _signals.signal("partner-registered")  # subject, is_settled, is_repeat (in the minute)
photos_requested = _signals.signal("photos-requested")  # subjects: list[str]; a backend calls warm, resolve or refresh
profile_aged = _signals.signal("profile-aged")  # subject: str; served, but looked up long ago
# One request for a picture can send these.
PHOTO_SIGNALS = (photo_missed, photo_served, photo_not_found, photo_not_served, photo_overloaded, profile_aged)


def connect_own(signal: NamedSignal) -> Callable[[Receiver], Receiver]:
    """Connect a function of this project: it returns soon. One for `photo_served` may run in the server's loop.

    One for `partners_listed` misses lists from memory whose pictures are all ready.
    """

    def connect(receiver: Receiver) -> Receiver:
        _own.add(id(receiver))
        return signal.connect(receiver)

    return connect


def has_foreign_receivers(*signals: NamedSignal) -> bool:
    """Returns True if one of these signals has a receiver of a user: it may take long, or raise ReceiverFailed."""
    return any(not signal.receivers.keys() <= _own for signal in signals)


class ReceiverFailed(Exception):
    """Raised by a receiver whose work the answer depends on; `error` then becomes the answer."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def announce(signal: NamedSignal, app: Flask, **payload: Any) -> None:
    """Call every receiver. One that raises changes no answer: it is logged, and the others still run.

    The exception is ReceiverFailed: after all receivers have run, its error is raised.
    """
    failure: ReceiverFailed | None = None
    for receiver in signal.receivers_for(app):
        try:
            receiver(app, **payload)
        except ReceiverFailed as failed:
            failure = failed
        except Exception:
            log.exception("a receiver of %s failed", signal.name)
    if failure is not None:
        raise failure.error
