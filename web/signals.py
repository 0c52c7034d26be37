"""What happens in the web tier, one signal a line; the sender is the app. The listeners are `receivers`, `metrics`
and `request_log`.

Those of the photo routes are sent outside of Flask: there is no request and no current app, only the sender. Those
that tell of an answer (served, not found, not served) also carry kind, method, request_id: str, and seconds: float. Of
the others `warmer.request_id.get_request_id` tells which request they belong to.
"""

from __future__ import annotations

from blinker import Namespace

_signals = Namespace()

photo_missed = _signals.signal("photo-missed")  # subject: str, wanted: Cut | None, the variant; True: at it
photo_served = _signals.signal("photo-served")  # subject: str, status: str, was_hit: bool; 200 or 304
photo_not_found = _signals.signal("photo-not-found")  # subject: str; 404
photo_not_served = _signals.signal("photo-not-served")  # status: int; any answer but 200 and 304
photo_overloaded = _signals.signal("photo-shed")  # subject: str; 503 at once, too many wait or the broker is away
partners_listed = _signals.signal("partners-listed")  # subjects: list[str], not ready, in the order of the list
partner_registered = _signals.signal("partner-registered")  # subject, is_settled, is_repeat (in the minute)
photos_requested = _signals.signal("photos-requested")  # subjects: list[str]; a backend asks for them ahead of time
profile_aged = _signals.signal("profile-aged")  # subject: str; served, but looked up long ago
