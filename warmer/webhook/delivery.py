"""Delivers the events of one id, the oldest first: each one until the receiver has it, or for a day.

A receiver that is slow or hangs occupies PLACES threads of a worker at most. A further id waits in the list of this
process; the thread that ends first goes on with it.
"""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from collections.abc import Callable
from threading import Lock

from warmer.flow.outcome import Outcome
from warmer.state.events import Event
from warmer.state.outbox import Outbox, Sending
from warmer.webhook.receiver import Answer, Receiver

PLACES = 4  # of a worker's threads; as many connections to the receiver
TURN_SECONDS = 20.0  # after which a thread takes no further id: its message would be delivered again
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 3600.0  # in between, as long as the event is old
GIVE_UP_SECONDS = 86_400.0
SPREAD = (1.0, 1.2)  # factors, at random, so that retries do not come in bursts
log = logging.getLogger(__name__)


class Delivery:
    """The one way from the outbox to the receiver."""

    def __init__(
        self,
        outbox: Outbox,
        receiver: Receiver,
        format_event: Callable[[int, Event], str],
        wait_for_web: Callable[[], object],
        count: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`wait_for_web`: returns when no web process serves an earlier picture from memory. `count`: counts outcomes.

        `clock`: tells seconds.
        """
        self.outbox = outbox
        self._receiver = receiver
        self._format = format_event
        self._wait_for_web = wait_for_web
        self._count = count
        self._clock = clock
        self._busy = 0
        self._waiting: deque[int] = deque()
        self._lock = Lock()

    def close(self) -> None:
        """Close the connections to the receiver."""
        self._receiver.close()

    def run(self, person_id: int) -> Outcome:
        """Deliver the events of this id, then those of the ids that wait for this thread. Raises RedisError."""
        end = self._clock() + TURN_SECONDS
        with self._lock:
            if self._busy >= PLACES:
                if person_id not in self._waiting:
                    self._waiting.append(person_id)
                return Outcome("postponed", f"{PLACES} ids are being delivered, this one is next")
            self._busy += 1
        try:
            outcome = self._deliver_all(person_id)
            while (following := self._take_waiting_or_leave(end)) is not None:
                self._deliver_all(following)
        except BaseException:
            with self._lock:
                self._busy -= 1
            raise
        return outcome

    def _take_waiting_or_leave(self, end: float) -> int | None:
        """The next id, or None: the place is free then. In one step, so that no id waits for a thread that has left."""
        with self._lock:
            if self._waiting and self._clock() < end:
                return self._waiting.popleft()
            self._busy -= 1
            return None

    def _deliver_all(self, person_id: int) -> Outcome:
        delivered = 0
        while (sending := self.outbox.take(person_id)) is not None:
            if self.outbox.is_stopped():
                self.outbox.remove(sending)
                self._count("dropped")
                continue
            self._wait_for_web()  # or a cache that is purged now would fetch the earlier picture again
            answer = self._receiver.post(
                sending.event.id, self._format(person_id, sending.event), self.outbox.now()
            )  # fmt: skip
            if not self._settle(sending, answer):
                return Outcome("postponed", answer.reason)
            delivered += answer.is_success
        return Outcome("done", f"events: {delivered}") if delivered else Outcome("skipped", "no event to deliver")

    def _settle(self, sending: Sending, answer: Answer) -> bool:
        """Carry out what follows from an answer. Returns False if the event is kept for another attempt."""
        if answer.is_success:
            self.outbox.remove(sending)
            self.outbox.note_success()
            self._count("delivered")
            return True
        if answer.is_gone:
            log.critical("🛑 The receiver of WEBHOOK_URL answers 410: it gets no event any more (docs/webhooks.md)")
            self.outbox.stop()
            self.outbox.remove(sending)
            self._count("dropped")
            return True
        self.outbox.note_failure()
        age_seconds = self.outbox.now() - sending.event.at
        if age_seconds >= GIVE_UP_SECONDS:
            log.error("⚠️ %s of user:%d is given up: %s", sending.event.type, sending.person_id, answer.reason)
            self.outbox.note_dead(sending, answer.reason)
            self.outbox.remove(sending)
            self._count("dead")
            return True
        seconds = choose_pause(age_seconds, answer.retry_after) * random.uniform(*SPREAD)  # noqa: S311 - spreads load
        log.warning("%s of user:%d: %s, again in %.0f s", sending.event.type, sending.person_id, answer.reason, seconds)
        self.outbox.retry(sending, seconds)
        self._count("failed")
        return False


def choose_pause(age_seconds: float, retry_after: float) -> float:
    """The seconds until the next attempt at an event: as many as it is old, so that they double each time."""
    return min(max(FIRST_PAUSE_SECONDS, age_seconds, retry_after), LONGEST_PAUSE_SECONDS)
