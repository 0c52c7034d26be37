"""The events that the receiver of the webhook does not have yet: a list per id, in the slot of the id's record.

So one script writes a record and its event. `undelivered` holds the next attempt of each id with events. It lives in
another slot: an id is noted there *before* its record is written, and is removed only if its list is empty and no other
write relies on the note. A message starts the first attempt at once. If it is lost, a later round of beat publishes
another one. While a worker sends an event of the id, the next attempt is when that worker's token expires.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import Redis

from warmer.keys import STATS_SECONDS, Keys, Subject
from warmer.state.schedule import Schedule
from warmer.state.scripts import load_script, queue
from warmer.state.sending import Sending, Sendings

GRACE_SECONDS = 10.0  # from the note of an id to the write of its event at most; the message comes sooner
POSTPONE_SECONDS = 10.0  # until the next message for an id, if this one is lost, or the worker that has it
ABANDONED_SECONDS = 86_400.0  # an attempt that is so late belongs to a webhook that is no longer set
ABANDONED_IDS_MAX = 1000  # in one round
OUTAGE_FAILURES = 3  # failures in a row after which a delivery ends an outage: every id is tried at once
WOKEN_IDS_MAX = 1000  # that are tried at once after an outage
COUNTED_IDS_MAX = 1000  # whose events `/ops` looks for; the rest counts as having some
DEAD_MAX = 50  # ids, each with its newest dead event
FORGOTTEN = "a forgotten id"  # in place of the subject of all dead events of forgotten persons
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeadEvent:
    """An event that was given up."""

    subject: str
    type: str
    reason: str
    at: int  # Unix time, in seconds


@dataclass(frozen=True, slots=True)
class Undelivered:
    """The state of the webhook as `/ops` and `/metrics` show it."""

    ids: int = 0  # with events that the receiver does not have
    late_seconds: float = 0.0  # of the earliest attempt
    failures: int = 0  # in a row
    is_stopped: bool = False  # the receiver answered 410
    dead: list[DeadEvent] = field(default_factory=list)  # of the last day, newest first


class Outbox:
    """Keeps the events of each id in order."""

    def __init__(self, redis: Redis, keys: Keys, url: str, send: Callable[[int], object]) -> None:
        """`url`: of the receiver. `send`: publishes a message for an id, and raises nothing."""
        self.redis = redis
        self.keys = keys
        self.attempts = Schedule(redis, keys, keys.undelivered)
        self.sendings = Sendings(redis, keys)
        self.take = self.sendings.take
        self._receiver = hashlib.blake2b(url.encode(), digest_size=8).hexdigest()  # the URL may hold a secret
        self._send = send
        self._note_undelivered = load_script(redis, "lua/note_undelivered.lua")
        self._note_receiver = load_script(redis, "lua/note_receiver.lua")
        self._note_dead = load_script(redis, "lua/note_failure.lua")

    # Around the write of a record

    def note(self, person_id: int) -> None:
        """Call this before the write of an event: if the process ends after the write, the next round finds it."""
        self.postpone(person_id, GRACE_SECONDS)

    def queue_note(self, pipe: Any, person_id: int) -> None:
        """Add `note` to the pipeline of the write: a delivery may have removed the earlier note meanwhile."""
        queue(pipe, self._note_undelivered, keys=[self.keys.undelivered], args=[GRACE_SECONDS, person_id])

    def send(self, person_id: int) -> None:
        """Call this after the write of an event: a worker delivers it at once."""
        self._send(person_id)

    # Delivery

    def now(self) -> float:
        """Return Redis' TIME, in seconds."""
        seconds, micros = self.redis.time()
        return seconds + micros / 1e6

    def remove(self, sending: Sending) -> bool:
        """Remove an event that is delivered or given up. Returns False if another worker sends it by now."""
        return self.sendings.end(sending, is_done=True)

    def drop_note(self, sending: Sending) -> None:
        """Remove the note of an id without events, if it is that of this event. Call this after `remove`.

        A note that is older than the event belongs to no other write: any that began before this event fails, and notes
        the id again.
        """
        member, pipe = str(sending.person_id), self.redis.pipeline(transaction=False)
        pipe.zscore(self.keys.undelivered, member)
        pipe.llen(self.keys.events(sending.person_id))
        next_at, number = pipe.execute()
        if next_at is not None and not number and next_at - GRACE_SECONDS <= sending.event.at:
            self.attempts.cancel_if(member, repr(next_at))

    def retry(self, sending: Sending, seconds: float) -> None:
        """Keep the event for another attempt."""
        self.postpone(sending.person_id, seconds)  # first: or nothing says when, if the process ends in between
        self.sendings.end(sending, is_done=False)

    def postpone(self, person_id: int, seconds: float) -> None:
        """Make the next attempt of an id after so many seconds."""
        self.postpone_all([person_id], seconds)

    def postpone_all(self, ids: Sequence[int], seconds: float) -> None:
        """Make the next attempt of each of these ids after so many seconds, also in a full Redis."""
        if ids:
            self._note_undelivered(keys=[self.keys.undelivered], args=[seconds, *ids])

    def take_due(self, limit: int) -> list[int]:
        """Returns the ids whose next attempt is due, and removes those without events.

        An id that a worker sends is due when the token of that worker expires: soon, if the worker was killed.
        """
        found: Any = self.redis.zrangebyscore(self.keys.undelivered, "-inf", self.now(), 0, limit, withscores=True)
        pipe: Any = self.redis.pipeline(transaction=False)
        for member, _ in found:
            pipe.llen(self.keys.events(int(member)))
            pipe.pttl(self.keys.sending(int(member)))
        answers = pipe.execute()
        due: list[int] = []
        for (member, at), number, token_ms in zip(found, answers[::2], answers[1::2], strict=True):
            if not number:
                self.attempts.cancel_if(member.decode(), repr(at))
            elif token_ms > 0:  # negative without a token
                self.postpone(int(member), token_ms / 1000)
            else:
                due.append(int(member))
        self.postpone_all(due, POSTPONE_SECONDS)
        return due

    # The receiver

    def get_pause(self) -> float | None:
        """Return the seconds for which the receiver wants no event, 0 for none.

        Returns None after a 410: this receiver wants no more events. Another URL is another receiver.
        """
        pipe: Any = self.redis.pipeline(transaction=False)
        pipe.hmget(self.keys.receiver, ["stopped", "paused_until"])
        pipe.time()
        (stopped, paused_until), (seconds, micros) = pipe.execute()
        if stopped and stopped.decode() == self._receiver:
            return None
        return max(0.0, float(paused_until or 0) - int(seconds) - int(micros) / 1e6)

    def is_stopped(self) -> bool:
        """Returns True if this receiver has answered 410."""
        return self.get_pause() is None

    def stop(self) -> None:
        """Send this receiver no more events: it answered 410."""
        self.redis.hset(self.keys.receiver, "stopped", self._receiver)

    def resume(self) -> bool:
        """Deliver again. Returns True if the receiver was stopped."""
        return bool(self.redis.hdel(self.keys.receiver, "stopped"))

    def note_failure(self, pause_seconds: float = 0.0) -> None:
        """Count a failed attempt. `pause_seconds`: for so long the receiver gets no event of any id."""
        self._note_receiver(keys=[self.keys.receiver], args=[1, pause_seconds])

    def note_success(self) -> None:
        """Count a delivery. If it ends an outage of the receiver, many other ids are tried at once."""
        if self._note_receiver(keys=[self.keys.receiver], args=[0, 0]) >= OUTAGE_FAILURES:
            waiting: Any = self.redis.zrange(self.keys.undelivered, 0, WOKEN_IDS_MAX - 1)
            self.postpone_all([int(member) for member in waiting], 0)

    def note_dead(self, sending: Sending, reason: str) -> None:
        """Record an event that is given up. Of a forgotten person only the log names the id."""
        subject, keys = Subject.of_person(sending.person_id), [self.keys.dead, self.keys.dead_reasons]
        rest: list[str | int] = [json.dumps({"type": sending.event.type, "reason": reason}), DEAD_MAX, STATS_SECONDS]
        if not self.redis.exists(self.keys.forgotten(subject)):
            self._note_dead(keys=keys, args=[subject, *rest])
            if not self.redis.exists(self.keys.forgotten(subject)):
                return
            self.redis.zrem(self.keys.dead, subject)  # it was forgotten meanwhile
            self.redis.hdel(self.keys.dead_reasons, subject)
        self._note_dead(keys=keys, args=[FORGOTTEN, *rest])

    def look(self) -> Undelivered:
        """Return the state of the webhook."""
        pipe: Any = self.redis.pipeline(transaction=False)
        pipe.hget(self.keys.receiver, "failures")
        pipe.zrevrange(self.keys.dead, 0, -1, withscores=True)
        pipe.hgetall(self.keys.dead_reasons)
        failures, subjects, reasons = pipe.execute()
        dead = [_read_dead(subject, at, reasons[subject]) for subject, at in subjects if subject in reasons]
        late_seconds = round(self.attempts.get_lateness(), 1)
        return Undelivered(self._count_ids(), late_seconds, int(failures or 0), self.is_stopped(), dead)

    def _count_ids(self) -> int:
        """Return the number of ids with events. A note outlives its last event, so some of the ids are checked."""
        members: Any = self.redis.zrange(self.keys.undelivered, 0, COUNTED_IDS_MAX - 1)
        pipe: Any = self.redis.pipeline(transaction=False)
        for member in members:
            pipe.llen(self.keys.events(int(member)))
        with_events = sum(1 for number in pipe.execute() if number)
        return with_events + (self.attempts.count() - COUNTED_IDS_MAX if len(members) == COUNTED_IDS_MAX else 0)


def _read_dead(subject: bytes, at: float, value: bytes) -> DeadEvent:
    said = json.loads(value)
    return DeadEvent(subject.decode(), said.get("type", ""), said.get("reason", ""), int(at))


def drop_undelivered(redis: Redis, keys: Keys) -> int:
    """Delete the events of a webhook that is no longer set: those for which no worker has made an attempt for a day.

    A worker without a webhook may run beside one with it, during a rolling restart. Returns for how many ids.
    """
    before = redis.time()[0] - ABANDONED_SECONDS
    members: Any = redis.zrangebyscore(keys.undelivered, "-inf", before, 0, ABANDONED_IDS_MAX)
    pipe = redis.pipeline(transaction=False)
    for member in members:
        pipe.unlink(keys.events(int(member)))
        pipe.zrem(keys.undelivered, member)
    pipe.execute()
    if members:
        log.warning("events of %d ids are deleted: WEBHOOK_URL is not set", len(members))
    return len(members)
