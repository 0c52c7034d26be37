"""The tasks of the queue, with a real worker on the real queue."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from celery.signals import worker_init, worker_ready, worker_shutdown
from prometheus_client import REGISTRY

from faketelegram import FakeTelegram
from tests.conftest import list_traces, wait_until
from tests.support.redis_kinds import connect_broker
from tests.support.steps import is_ready
from warmer.celery import app as celery
from warmer.keys import QUEUES, Lane
from warmer.open_files import LEAST
from warmer.state.stats import sum_minutes
from warmer.state.workers import list_worker_statuses
from warmer.wiring import WorkerContext, close_worker_context
from warmer.worker import tasks

needs_worker = pytest.mark.usefixtures("worker")
LANES: tuple[Lane, ...] = ("hot", "warm", "rewarm")


def count_outcomes(lane: str, outcome: str) -> float:
    return REGISTRY.get_sample_value("avatar_warmings_total", {"lane": lane, "outcome": outcome}) or 0


def are_queues_empty(context: WorkerContext) -> bool:
    waiting = [context.publisher.count_waiting(queue) for queue in QUEUES]
    return not any(waiting) and not connect_broker(context.settings).hlen(f"{context.keys.queue_prefix}unacked")


@needs_worker
def test_a_picture_that_is_queued_in_every_lane_is_fetched_once(
    context: WorkerContext, file_id: str, telegram: FakeTelegram
) -> None:
    context.publisher.publish_hot(file_id, None)
    context.publisher.publish(file_id, "warm")
    context.publisher.publish(file_id, "rewarm")
    wait_until(lambda: is_ready(context.steps.store, file_id))
    wait_until(lambda: are_queues_empty(context))
    wait_until(
        lambda: (
            not context.redis.exists(
                context.keys.lease(file_id), *(context.keys.enqueued(file_id, lane) for lane in LANES)
            )
        )
    )
    assert telegram.calls["getFile"] == 1


@needs_worker
def test_a_stale_hot_message_is_skipped_and_a_warm_one_is_not(
    context: WorkerContext, file_id: str, telegram: FakeTelegram
) -> None:
    before = count_outcomes("hot", "skipped")
    celery.send_task("warm", args=[file_id, "hot"], queue="hot")
    wait_until(lambda: count_outcomes("hot", "skipped") == before + 1)
    assert not telegram.calls["getFile"]
    wait_until(
        lambda: list_traces(context.redis, file_id) == []
    )  # the queue's own trace, until the message is acknowledged
    celery.send_task("warm", args=[file_id, "warm"], queue="warm")
    wait_until(lambda: is_ready(context.steps.store, file_id))


@needs_worker
def test_arguments_that_only_a_newer_release_knows_are_ignored(context: WorkerContext, file_id: str) -> None:
    celery.send_task("warm", args=[file_id, "warm", "more"], kwargs={"and": "more"}, queue="warm")
    wait_until(lambda: is_ready(context.steps.store, file_id))
    wait_until(lambda: are_queues_empty(context))


@needs_worker
def test_a_task_that_only_a_newer_release_knows_is_dropped_and_the_worker_goes_on(
    context: WorkerContext, file_id: str
) -> None:
    for lane in QUEUES:
        celery.send_task("polish", args=[file_id], queue=lane)
    wait_until(lambda: are_queues_empty(context))
    celery.send_task("warm", args=[file_id, "warm"], queue="warm")
    wait_until(lambda: is_ready(context.steps.store, file_id))


@needs_worker
def test_a_message_returns_to_the_queue_if_redis_fails(
    context: WorkerContext, file_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "AWAY_SECONDS", 0.05)
    context.redis.set(context.keys.schedule, "of a wrong type")  # the first write of a task fails
    celery.send_task("warm", args=[file_id, "warm"], queue="warm")
    wait_until(lambda: connect_broker(context.settings).hlen(f"{context.keys.queue_prefix}unacked"))
    assert not is_ready(context.steps.store, file_id)
    context.redis.delete(context.keys.schedule)
    wait_until(lambda: is_ready(context.steps.store, file_id))
    wait_until(lambda: are_queues_empty(context))


@needs_worker
def test_both_rounds_run_as_tasks(context: WorkerContext, file_id: str) -> None:
    context.people.register(1, "Ann", other := f"{file_id}x")
    celery.send_task("keep_newest", queue="tick")
    wait_until(lambda: context.redis.zscore(context.keys.schedule, other) is not None)
    context.schedule.set(file_id, -1)
    celery.send_task("tick", queue="tick")
    wait_until(lambda: is_ready(context.steps.store, file_id))
    wait_until(lambda: "due" in sum_minutes(context.redis, context.keys, 2))  # written after the round


@pytest.fixture
def this_process(context: WorkerContext) -> Iterator[None]:
    """For tests that run a task in this process, which opens its worker context."""
    yield
    close_worker_context()


@pytest.mark.usefixtures("this_process")
def test_every_job_is_counted_and_logged_in_one_line(file_id: str, caplog: pytest.LogCaptureFixture) -> None:
    before = count_outcomes("warm", "done")
    caplog.set_level("INFO", "warmer.worker.tasks")
    assert tasks.warm(file_id, "warm") == "done"
    assert count_outcomes("warm", "done") == before + 1
    (line,) = [record.getMessage() for record in caplog.records if record.name == "warmer.worker.tasks"]
    assert f"{file_id} done [warm] in" in line


def test_a_worker_has_a_heartbeat_from_ready_to_shutdown(context: WorkerContext) -> None:
    worker_ready.send(sender=None)
    (status,) = wait_until(lambda: list_worker_statuses(context.redis, context.keys))
    worker_shutdown.send(sender=None)
    assert (status.name.rpartition("-")[2], status.bot) == (str(os.getpid()), "ok")
    assert list_worker_statuses(context.redis, context.keys) == []


def test_a_worker_that_may_open_too_few_files_ends_at_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (LEAST - 1, LEAST - 1))
    with pytest.raises(SystemExit, match=f"{LEAST - 1} open files are too few"):
        worker_init.send(sender=None)


def test_the_queue_has_four_tasks() -> None:
    tasks = {name for name in celery.tasks if not name.startswith("celery.")}
    assert tasks == {"warm", "deliver", "tick", "keep_newest"}
