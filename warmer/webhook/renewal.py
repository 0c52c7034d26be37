"""Renews the tokens of the events that this process sends, so that no other worker takes them over."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from redis.exceptions import RedisError

from warmer.deadline import Deadline
from warmer.keys import SENDING_SECONDS
from warmer.repeater import Repeater
from warmer.state.sending import Sending

RENEW_SECONDS = 2.0
LEAD_SECONDS = 1.0  # an attempt ends so long before its token; the watchdog looks four times a second
LONGEST_SECONDS = 40.0  # twice an attempt; after it, a thread that hangs leaves its event to another worker
log = logging.getLogger(__name__)


class SendingDeadline(Deadline):
    """The time for which this worker may send an event. A renewal moves the end, unless that has passed."""

    def __init__(self, sending: Sending, since: float, clock: Callable[[], float]) -> None:
        """`since`: the instant before the token was taken, by the clock."""
        super().__init__(since + SENDING_SECONDS - LEAD_SECONDS - clock(), clock)
        self.sending = sending
        self._renewable_until = since + LONGEST_SECONDS

    def renew(self, renew: Callable[[Sending], bool]) -> None:
        """Renew the token by this function. If Redis stays away, the attempt ends, and then the token."""
        since = self._clock()
        if not self.remaining or since >= self._renewable_until:
            return
        try:
            is_renewed = renew(self.sending)
        except RedisError as error:
            log.warning("an event is not renewed: %s", type(error).__name__)
            return
        if not is_renewed:
            self._end = since  # another worker sends
        elif self.remaining:
            self._end = since + SENDING_SECONDS - LEAD_SECONDS


class Renewal:
    """A thread that renews tokens, from the first one until it is closed."""

    def __init__(self, renew: Callable[[Sending], bool], clock: Callable[[], float] = time.monotonic) -> None:
        """`renew`: returns False if another worker sends. `clock`: tells seconds."""
        self._renew = renew
        self._clock = clock
        self._deadlines: set[SendingDeadline] = set()
        self._lock = Lock()
        self._runs = Repeater("renewal", RENEW_SECONDS, self.run)

    @contextmanager
    def renewing(self, sending: Sending, since: float) -> Iterator[SendingDeadline]:
        """Renew the token of this event during the block. `since`: as in `SendingDeadline`."""
        deadline = SendingDeadline(sending, since, self._clock)
        self._runs.ensure_started()
        with self._lock:
            self._deadlines.add(deadline)
        try:
            yield deadline
        finally:
            with self._lock:  # waits for a renewal under way: after the block the token may be ended
                self._deadlines.discard(deadline)

    def run(self) -> None:
        """Renew every token once."""
        with self._lock:
            for deadline in self._deadlines:
                deadline.renew(self._renew)

    def close(self) -> None:
        """End the thread."""
        self._runs.close()
