"""Beat sends rounds while workers take them, and lets none pile up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery.beat import ScheduleEntry
from celery.schedules import schedule
from redis import Redis

from tests.support.clock import Clock
from tests.support.remaining import remaining
from warmer.broker.publish import count_waiting
from warmer.celery import app
from warmer.keys import HEARTBEAT_SECONDS, Keys
from warmer.redis_client.clients import connect_worker
from warmer.state.workers import BEAT_SECONDS
from warmer.worker.beat_scheduler import WAITING_MAX, ModestScheduler


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def scheduler(redis: Redis, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModestScheduler]:
    """Beat, with the patience of a worker: on a busy machine Redis may answer late."""
    monkeypatch.setattr("warmer.worker.beat_scheduler.connect_web", connect_worker)
    scheduler = ModestScheduler(app=app, lazy=True, clock=clock)
    yield scheduler
    scheduler.close()


@pytest.fixture
def tick() -> Any:
    return ScheduleEntry(name="tick", task="tick", schedule=schedule(2.0), options={"queue": "tick"}, app=app)


def test_a_round_is_sent(scheduler: ModestScheduler, tick: Any) -> None:
    scheduler.apply_entry(tick)
    assert count_waiting(app, "tick") == 1


def test_rounds_are_skipped_while_no_worker_takes_them(scheduler: ModestScheduler, tick: Any) -> None:
    for _ in range(20):
        scheduler.apply_entry(tick)
    assert count_waiting(app, "tick") == WAITING_MAX + 1


def test_beat_says_that_it_is_alive_until_its_goodbye(scheduler: ModestScheduler, redis: Redis, keys: Keys) -> None:
    assert scheduler.tick() <= HEARTBEAT_SECONDS / 3
    assert redis.ttl(keys.beat) == remaining(HEARTBEAT_SECONDS)
    scheduler.close()
    assert not redis.exists(keys.beat)


def test_beat_says_so_again_only_after_a_beat(
    scheduler: ModestScheduler, clock: Clock, redis: Redis, keys: Keys
) -> None:
    scheduler.tick()
    redis.delete(keys.beat)
    clock.advance(BEAT_SECONDS - 0.1)
    scheduler.tick()
    assert not redis.exists(keys.beat)
    clock.advance(0.1)
    scheduler.tick()
    assert redis.exists(keys.beat)


def test_beat_goes_on_while_its_heartbeat_fails(scheduler: ModestScheduler, tick: Any) -> None:
    scheduler._redis.close()
    scheduler._redis = Redis(unix_socket_path="/nonexistent/redis.sock")
    scheduler.tick()
    scheduler.apply_entry(tick)
    assert count_waiting(app, "tick") == 1


def test_the_periodic_tasks_are_registered_and_stored_in_no_file(scheduler: ModestScheduler) -> None:
    scheduler.setup_schedule()
    assert {entry.task for entry in scheduler.schedule.values()} >= {"tick", "keep_newest"}
    assert not hasattr(scheduler, "_store")
