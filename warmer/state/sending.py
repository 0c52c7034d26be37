"""One worker at a time sends the events of an id: its token expires after some seconds, unless the worker renews it.

So the events of a killed worker wait for seconds only. If a full Redis evicts a token, the next renewal sets it again.
Until then another worker may send the same event, too: the receiver knows it by its id.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, field

from redis import Redis

from warmer.keys import SENDING_SECONDS, Keys
from warmer.state.events import Event
from warmer.state.scripts import load_script

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sending:
    """The oldest event of an id, which this worker alone sends until its token expires."""

    person_id: int
    event: Event
    token: str
    value: bytes = field(repr=False)  # the event as Redis has it


class Sendings:
    """Takes, renews and ends tokens."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self.keys = keys
        self._take, self._renew = load_script(redis, "lua/take_event.lua"), load_script(redis, "lua/renew_event.lua")
        self._end = load_script(redis, "lua/end_event.lua")

    def take(self, person_id: int) -> Sending | None:
        """Take the oldest event of an id. Returns None if there is none, or if another worker sends it.

        An event in a form that this release cannot read is removed.
        """
        while True:
            token = secrets.token_hex(8)
            args: list[str | int] = [token, SENDING_SECONDS * 1000]
            state, *event = self._take(keys=self._list_keys(person_id), args=args)
            if state != 1:
                return None
            try:
                return Sending(person_id, Event.unpack(event[0]), token, event[0])
            except ValueError as error:
                log.warning("⚠️ an event of user:%d is given up: %s", person_id, error)
                self._end(keys=self._list_keys(person_id), args=[token, event[0]])

    def renew(self, sending: Sending) -> bool:
        """Let the token expire later. Returns False if another worker sends."""
        args: list[str | int] = [sending.token, SENDING_SECONDS * 1000]
        return bool(self._renew(keys=[self.keys.sending(sending.person_id)], args=args))

    def end(self, sending: Sending, *, is_done: bool) -> bool:
        """Let another worker send. `is_done`: remove the event. Returns False if another worker sends already.

        No renewal of it may be under way: it would set the token again.
        """
        args: list[str | bytes] = [sending.token, sending.value if is_done else b""]
        return bool(self._end(keys=self._list_keys(sending.person_id), args=args))

    def _list_keys(self, person_id: int) -> list[str]:
        return [self.keys.events(person_id), self.keys.sending(person_id)]
