"""What the queue may ask for. The bodies are thin: the story is told in `warm` and `follow`."""

from __future__ import annotations

import gc
import logging
import os
import socket
import time
from typing import Any

from celery import Task
from celery.exceptions import Reject
from celery.signals import worker_ready, worker_shutdown
from redis.exceptions import RedisError

from warmer.celery import app
from warmer.deadline import JobContext
from warmer.errors import NotMine
from warmer.flow.profile import refresh_profile
from warmer.flow.warm import warm_photo
from warmer.keys import Lane, user_of
from warmer.observe.metrics import count_warming
from warmer.request_id import MESSAGE_HEADER, working_for
from warmer.wiring import close_worker_context, get_worker_context
from warmer.worker import rounds
from warmer.worker.heartbeat import Heartbeat

AWAY_SECONDS = 1.0  # before a message goes back: a broker that is there while Redis is not would return it at once
log = logging.getLogger(__name__)
_heartbeats: list[Heartbeat] = []


@app.task(name="warm", bind=True)
def warm(self: Task[..., str], subject: str, lane: Lane, *_: Any, **__: Any) -> str:
    """Warm a file id, or the newest picture behind `user:<id>`; how it ended.

    What a later release may say beside that is left out: two releases take each other's messages while one replaces
    the other.
    """
    with working_for(self.request.get(MESSAGE_HEADER)):  # no id: it was due, or asked for by an earlier release
        return _warm(subject, lane)


def _warm(subject: str, lane: Lane) -> str:
    started = time.monotonic()
    outcome = _run(subject, lane)
    seconds = time.monotonic() - started
    count_warming(get_worker_context().stats, lane, outcome, seconds)
    fields = {"subject": subject, "outcome": outcome, "lane": lane, "milliseconds": round(seconds * 1000, 1)}
    log.info("🖼️ %s %s [%s] in %.0fms", subject, outcome, lane, seconds * 1000, extra=fields)
    return outcome


@app.task(name="tick", send_events=False)  # Flower shows the work, not the clock
def tick(*_: Any, **__: Any) -> int:
    """Every 2 s: publish what is due; once a minute, note how much waits."""
    published = rounds.run_tick(get_worker_context())
    rounds.sample_lengths(get_worker_context())
    return published


@app.task(name="keep_newest", send_events=False)
def keep_newest(*_: Any, **__: Any) -> int:
    """Every 10 min: nothing of the newest partners is without a turn."""
    return rounds.keep_newest(get_worker_context())


def _run(subject: str, lane: Lane) -> str:
    context = get_worker_context()
    job = JobContext.start(lane, context.settings.photo_wait)
    user_id = user_of(subject)
    try:
        context.steps.leases.check_needed(subject, lane)
        if user_id is None:
            return warm_photo(subject, job, context.steps)
        return refresh_profile(user_id, job, context.steps)
    except NotMine as reason:
        return f"skipped: {reason}"
    except RedisError as error:
        time.sleep(AWAY_SECONDS)
        raise Reject(f"Redis is away ({type(error).__name__})", requeue=True) from None


@worker_ready.connect
def _start_heartbeat(**_: Any) -> None:
    context = get_worker_context()
    name = f"{socket.gethostname()}-{os.getpid()}"
    heartbeat = Heartbeat(name, context.redis, context.keys, context.telegram, context.budget)
    _heartbeats.append(heartbeat)
    heartbeat.start()
    gc.collect()
    gc.freeze()  # the collector need not walk through what lives as long as the process


@worker_shutdown.connect
def _close(**_: Any) -> None:
    while _heartbeats:
        _heartbeats.pop().close()
    close_worker_context()
