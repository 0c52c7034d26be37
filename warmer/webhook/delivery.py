"""Delivers the events of one id, the oldest first: each one until the receiver has it, or for a day.

A receiver that is slow or hangs occupies PLACES threads of a worker at most. A further id waits in the list of this
process; the thread that ends first goes on with it.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable

from warmer.flow.outcome import Outcome
from warmer.state.events import Event
from warmer.state.outbox import Outbox
from warmer.state.sending import Sending
from warmer.webhook.receiver import Answer, Receiver
from warmer.webhook.renewal import Renewal, SendingDeadline

PLACES = 4  # of a worker's threads; as many connections to the receiver
# After this long a thread takes no further event: with one attempt more, it ends within the grace of a stop.
TURN_SECONDS = 4.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 3600.0  # between them, the age of the event
GIVE_UP_SECONDS = 86_400.0
SPREAD = (1.0, 1.2)  # factors, at random, so that retries do not come in bursts
THROTTLED = (429, 502, 503, 504)  # statuses after which the receiver gets no event of any id for a while
CACHE_SECONDS = 60.0  # for so long a web process may answer from memory (web/photos/cache.py)
log = logging.getLogger(__name__)


class Delivery:
    """The one way from the outbox to the receiver."""

    def __init__(
        self,
        outbox: Outbox,
        receiver: Receiver,
        format_event: Callable[[int, Event], str],
        wait_for_web: Callable[[], bool],
        count: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """`wait_for_web`: waits until no web process serves a former picture from memory. Returns False if one may.

        `count`: counts outcomes. `clock`: tells seconds. `uniform`: chooses a number between two, to spread load.
        """
        self.outbox = outbox
        self.uniform = uniform
        self._receiver = receiver
        self._format = format_event
        self._wait_for_web = wait_for_web
        self._count = count
        self._clock = clock
        self._renewal = Renewal(outbox.sendings.renew, clock)
        self._busy = 0
        self._waiting: deque[int] = deque()
        self._lock = threading.Lock()
        self._is_closed = threading.Event()

    def close(self) -> None:
        """Start no further attempt, and close the connections to the receiver."""
        self._is_closed.set()
        self._receiver.close()
        self._renewal.close()

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
            outcome = self._deliver_all(person_id, end)
            while (following := self._take_waiting_or_leave(end)) is not None:
                self._deliver_all(following, end)
        except BaseException:
            with self._lock:
                self._busy -= 1
            raise
        return outcome

    def _take_waiting_or_leave(self, end: float) -> int | None:
        """The next id, or None: the place is free then. In one step, so that no id waits for a thread that has left.

        At the end of its turn the thread sends a message for the next id, which begins another turn.
        """
        with self._lock:
            following = self._waiting.popleft() if self._waiting else None
            if following is not None and self._clock() < end and not self._is_closed.is_set():
                return following
            self._busy -= 1
        if following is not None:
            self.outbox.send(following)
        return None

    def _deliver_all(self, person_id: int, end: float) -> Outcome:
        delivered = 0
        while not self._is_closed.is_set():
            if delivered and self._clock() > end:
                if self.outbox.redis.exists(self.outbox.keys.events(person_id)):
                    self.outbox.send(person_id)
                break
            since = self._clock()
            if (sending := self.outbox.take(person_id)) is None:
                break
            pause_seconds = self.outbox.get_pause()
            if pause_seconds:
                self.outbox.retry(sending, pause_seconds)
                return Outcome("postponed", f"the receiver asked for a pause of {pause_seconds:.0f} s")
            if pause_seconds is None:
                self.outbox.remove(sending)
                self._count("dropped")
            elif (reason := self._deliver(sending, since)) is None:
                delivered += 1
            elif reason:
                return Outcome("postponed", reason)
        return Outcome("done", f"events: {delivered}") if delivered else Outcome("skipped", "no event to deliver")

    def _deliver(self, sending: Sending, since: float) -> str | None:
        """Make one attempt. Returns None after a success, why the event waits, or "" if it is given up."""
        with self._renewal.renewing(sending, since) as deadline:
            answer = self._attempt(sending, deadline)
        if isinstance(answer, Answer):
            return self._settle(sending, answer)
        self.outbox.retry(sending, FIRST_PAUSE_SECONDS)
        return answer

    def _attempt(self, sending: Sending, deadline: SendingDeadline) -> Answer | str:
        """Returns the answer of the receiver, or why it did not get the event for a reason of our own."""
        is_young = self.outbox.now() - sending.event.at < CACHE_SECONDS
        if not self._wait_for_web() and is_young:  # else a purged cache would fetch the former picture again
            return "a web process may still answer with the former picture"
        body, now = self._format(sending.person_id, sending.event), self.outbox.now()
        if not deadline.remaining:
            return "Redis was too slow"
        answer = self._receiver.post(sending.event.id, body, now, deadline)
        if not deadline.remaining and not answer.is_success:
            return "the attempt was ended, since another worker may send the event"
        return answer

    def _settle(self, sending: Sending, answer: Answer) -> str | None:
        """Carry out what follows from an answer. Returns what `_deliver` does."""
        if answer.is_success:
            is_removed = self.outbox.remove(sending)
            self.outbox.note_success()
            if not is_removed:
                return "another worker delivers it, too"
            self.outbox.drop_note(sending)
            self._count("delivered")
            return None
        if answer.is_gone:
            log.critical("🛑 The receiver of WEBHOOK_URL answers 410: it gets no event any more (docs/webhooks.md)")
            self.outbox.stop()
            self.outbox.remove(sending)
            self._count("dropped")
            return ""
        age_seconds = self.outbox.now() - sending.event.at
        seconds = choose_pause(age_seconds, answer.retry_after, self.uniform(*SPREAD))
        throttle = max(FIRST_PAUSE_SECONDS, answer.retry_after) if answer.status in THROTTLED else 0.0
        self.outbox.note_failure(min(throttle, LONGEST_PAUSE_SECONDS))
        if age_seconds >= GIVE_UP_SECONDS:
            log.error("⚠️ %s of user:%d is given up: %s", sending.event.type, sending.person_id, answer.reason)
            self.outbox.note_dead(sending, answer.reason)
            self.outbox.remove(sending)
            self._count("dead")
            return ""
        log.warning("%s of user:%d: %s, again in %.0f s", sending.event.type, sending.person_id, answer.reason, seconds)
        self.outbox.retry(sending, seconds)
        self._count("failed")
        return answer.reason


def choose_pause(age_seconds: float, retry_after: float, spread: float = 1.0) -> float:
    """The seconds until the next attempt at an event: as many as it is old, so that they double each time."""
    return min(max(FIRST_PAUSE_SECONDS, age_seconds, retry_after) * spread, LONGEST_PAUSE_SECONDS)
