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
from warmer.deadline import Errand
from warmer.errors import NotMine
from warmer.flow.profile import follow_profile
from warmer.flow.warm import warm_photo
from warmer.keys import Lane, user_of
from warmer.observe.metrics import count_warming
from warmer.request_id import MESSAGE_HEADER, working_for
from warmer.wiring import close_workshop, get_workshop
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
    count_warming(get_workshop().stats, lane, outcome, seconds)
    fields = {"subject": subject, "outcome": outcome, "lane": lane, "milliseconds": round(seconds * 1000, 1)}
    log.info("🖼️ %s %s [%s] in %.0fms", subject, outcome, lane, seconds * 1000, extra=fields)
    return outcome


@app.task(name="tick", send_events=False)  # Flower shows the work, not the clock
def tick(*_: Any, **__: Any) -> int:
    """Every 2 s: publish what is due; once a minute, note how much waits."""
    published = rounds.run_tick(get_workshop())
    rounds.sample_lengths(get_workshop())
    return published


@app.task(name="keep_newest", send_events=False)
def keep_newest(*_: Any, **__: Any) -> int:
    """Every 10 min: nothing of the newest partners is without a turn."""
    return rounds.keep_newest(get_workshop())


def _run(subject: str, lane: Lane) -> str:
    shop = get_workshop()
    errand = Errand.start(lane, shop.settings.photo_wait)
    user_id = user_of(subject)
    try:
        shop.desk.claims.check_needed(subject, lane)
        if user_id is None:
            return warm_photo(subject, errand, shop.desk)
        return follow_profile(user_id, errand, shop.desk)
    except NotMine as reason:
        return f"skipped: {reason}"
    except RedisError as error:
        time.sleep(AWAY_SECONDS)
        raise Reject(f"Redis is away ({type(error).__name__})", requeue=True) from None


@worker_ready.connect
def _start_heartbeat(**_: Any) -> None:
    shop = get_workshop()
    name = f"{socket.gethostname()}-{os.getpid()}"
    heartbeat = Heartbeat(name, shop.redis, shop.keys, shop.telegram, shop.budget)
    _heartbeats.append(heartbeat)
    heartbeat.start()
    gc.collect()
    gc.freeze()  # the collector need not walk through what lives as long as the process


@worker_shutdown.connect
def _close(**_: Any) -> None:
    while _heartbeats:
        _heartbeats.pop().close()
    close_workshop()
