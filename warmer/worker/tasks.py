"""The tasks of the queue. They are thin: `flow/warm.py` and `flow/profile.py` tell the story."""

from __future__ import annotations

import gc
import logging
import os
import socket
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from celery import Task
from celery.exceptions import Reject
from celery.signals import worker_init, worker_ready, worker_shutdown
from redis.exceptions import RedisError

from warmer.broker.queues import DELIVER_TASK, KEEP_NEWEST_TASK, TICK_TASK, WARM_TASK
from warmer.celery import app
from warmer.deadline import JobContext
from warmer.flow.outcome import Outcome
from warmer.flow.profile import refresh_profile
from warmer.flow.warm import warm_photo
from warmer.keys import Lane, Subject
from warmer.observe.metrics import count_warming
from warmer.open_files import raise_open_files_limit_or_exit
from warmer.request_id import MESSAGE_HEADER, working_for
from warmer.wiring import close_worker_context, get_worker_context
from warmer.worker import beat_rounds
from warmer.worker.heartbeat import Heartbeat
from warmer.worker.shared_message import warm_each

OPEN_FILES = 1024
AWAY_SECONDS = 1.0  # before a message goes back: a broker that works while Redis does not would redeliver it at once
log = logging.getLogger(__name__)
_heartbeats: list[Heartbeat] = []


@app.task(name=WARM_TASK, bind=True)
def warm(self: Task[..., str], /, subject: str, lane: Lane, *_: Any, others: Sequence[str] = (), **__: Any) -> str:
    """Warm a file id, or the newest picture behind `user:<id>`, and the others that share its message.

    Returns the outcome as text, which Flower shows.

    Further arguments are ignored: during a rolling restart an older release takes the messages of a newer one.
    """
    with working_for(self.request.get(MESSAGE_HEADER)):  # no request id if the schedule or an earlier release sent it
        if not others:
            return str(_warm(Subject(subject), lane))
        return warm_each([subject, *others], partial(_warm, lane=lane), get_worker_context().schedule)


def _warm(subject: Subject, lane: Lane) -> Outcome:
    started = time.monotonic()
    outcome = _run(subject, lane)
    seconds = time.monotonic() - started
    count_warming(get_worker_context().stats, lane, outcome.kind, seconds)
    fields = {"subject": subject, "outcome": str(outcome), "lane": lane, "milliseconds": round(seconds * 1000, 1)}
    log.info("🖼️ %s %s [%s] in %.0fms", subject, outcome, lane, seconds * 1000, extra=fields)
    return outcome


def _run(subject: Subject, lane: Lane) -> Outcome:
    context = get_worker_context()
    job = JobContext.start(lane, context.settings.photo_wait)
    try:
        if context.steps.leases.is_stale(subject, lane):
            return Outcome("skipped", "stale, no client waits any more")
        if subject.is_person:
            return refresh_profile(subject.user_id, job, context.steps)
        return warm_photo(subject.file_id, job, context.steps)
    except RedisError as error:
        time.sleep(AWAY_SECONDS)
        raise Reject(f"Redis is away ({type(error).__name__})", requeue=True) from None


@app.task(name=DELIVER_TASK)
def deliver(person_id: int, *_: Any, **__: Any) -> str:
    """Deliver the events of an id to WEBHOOK_URL. Returns the outcome as text, which Flower shows."""
    delivery = get_worker_context().delivery
    if delivery is None:
        return str(Outcome("skipped", "there is no webhook"))
    try:
        outcome = delivery.run(person_id)
    except RedisError as error:  # the event is still there, and beat finds it
        outcome = Outcome("postponed", f"Redis is away ({type(error).__name__})")
    log.info("📣 user:%d %s [webhook]", person_id, outcome, extra={"outcome": str(outcome), "lane": "webhook"})
    return str(outcome)


@app.task(name=TICK_TASK, send_events=False)  # Flower shows the work, not the clock
def tick(*_: Any, **__: Any) -> int:
    """Every 2 s: publish the subjects that are due; once a minute, record the lengths of the queues."""
    published = beat_rounds.run_tick(get_worker_context())
    beat_rounds.sample_lengths(get_worker_context())
    return published


@app.task(name=KEEP_NEWEST_TASK, send_events=False)
def keep_newest(*_: Any, **__: Any) -> int:
    """Every 10 min: schedule the newest partners that have no next run."""
    return beat_rounds.keep_newest(get_worker_context())


@worker_init.connect
def _check_surroundings(**_: Any) -> None:
    """End if the process may open too few files; name the rights that Redis denies, before one ends a connection."""
    raise_open_files_limit_or_exit(OPEN_FILES)
    get_worker_context().health.check_rights()


@worker_ready.connect
def _start_heartbeat(sender: Any = None, **_: Any) -> None:
    context = get_worker_context()
    name = f"{socket.gethostname()}-{os.getpid()}"
    heartbeat = Heartbeat(
        name, context.redis, context.keys, context.telegram, context.budget, context.steps.leases,
        threads=getattr(getattr(sender, "pool", None), "limit", None) or 0,
    )  # fmt: skip
    _heartbeats.append(heartbeat)
    heartbeat.start()
    gc.collect()
    gc.freeze()  # what lives as long as the process: the collector need not look at it again


@worker_shutdown.connect
def _close(**_: Any) -> None:
    while _heartbeats:
        _heartbeats.pop().close()
    close_worker_context()
