"""Several subjects in one message, where more are cold than the workers have threads."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

import pytest

from tests.support.cli_parts import send_heartbeat
from tests.support.clock import Clock
from tests.support.redis_kinds import connect_broker
from tests.warmer.conftest import list_next_runs
from warmer.broker.publish import Publisher
from warmer.broker.sharing import LEAST_RATE, LOOK_SECONDS, SHARED_MAX
from warmer.settings import load_settings
from warmer.wiring import WorkerContext

FIDS = [f"AgACAgIAAxkBAAIBshared{number:02}" for number in range(10)]


def open_publisher(context: WorkerContext, clock: Clock, rate: float = LEAST_RATE) -> Publisher:
    settings = load_settings(telegram_rate=rate)
    return Publisher(context.publisher.app, context.redis, context.keys, context.schedule, settings, clock)


@pytest.fixture
def publisher(context: WorkerContext, clock: Clock) -> Publisher:
    return open_publisher(context, clock)


def list_messages(context: WorkerContext, lane: str = "warm") -> list[list[str]]:
    """Returns the subjects of each waiting message, in the order of publishing."""
    raw: Any = connect_broker(context.settings).lrange(f"{context.keys.queue_prefix}{lane}", 0, -1)
    bodies = [json.loads(b64decode(json.loads(message)["body"])) for message in reversed(raw)]
    return [[args[0], *kwargs.get("others", ())] for args, kwargs, _ in bodies]


def test_subjects_share_a_message_once_every_thread_has_one(context: WorkerContext, publisher: Publisher) -> None:
    send_heartbeat(context, "one", threads=1)
    send_heartbeat(context, "two", threads=1)
    publisher.publish_all(FIDS[:4], "warm")
    assert list_messages(context) == [FIDS[:2], FIDS[2:4]]


def test_while_threads_are_idle_each_subject_has_a_message_of_its_own(
    context: WorkerContext, publisher: Publisher
) -> None:
    send_heartbeat(context, threads=8)
    publisher.publish_all(FIDS, "warm")
    assert list_messages(context) == [[file_id] for file_id in FIDS]


def test_messages_that_wait_already_keep_threads_busy(context: WorkerContext, publisher: Publisher) -> None:
    send_heartbeat(context, threads=3)
    publisher.publish_all(FIDS[:4], "rewarm")
    publisher.publish_all(FIDS[4:6], "rewarm")
    assert list_messages(context, "rewarm") == [*([file_id] for file_id in FIDS[:4]), FIDS[4:6]]


def test_a_message_has_a_bounded_number_of_subjects(context: WorkerContext, publisher: Publisher) -> None:
    send_heartbeat(context, threads=1)
    publisher.publish_all(FIDS, "warm")
    assert list(map(len, list_messages(context))) == [SHARED_MAX, SHARED_MAX, 2]


def test_a_subject_that_a_client_waits_for_shares_its_message_with_no_other(
    context: WorkerContext, publisher: Publisher
) -> None:
    send_heartbeat(context, threads=1)
    assert publisher.sharing.choose_size("hot", subjects=100, waiting=100) == 1
    for file_id in FIDS[:3]:
        publisher.publish_hot(file_id, None)
    assert list_messages(context, "hot") == [[file_id] for file_id in FIDS[:3]]


def test_beside_a_worker_of_an_older_release_each_subject_has_a_message_of_its_own(
    context: WorkerContext, publisher: Publisher, clock: Clock
) -> None:
    send_heartbeat(context, "new", threads=1)
    send_heartbeat(context, "old").close()
    context.redis.zadd(context.keys.workers, {"old": context.redis.time()[0]})
    context.redis.set(context.keys.worker("old"), json.dumps({"name": "old", "bot": "ok"}))
    publisher.publish_all(FIDS[:2], "warm")
    assert list_messages(context) == [[FIDS[0]], [FIDS[1]]]
    context.redis.delete(context.keys.worker("old"))
    clock.advance(LOOK_SECONDS)
    publisher.publish_all(FIDS[2:4], "warm")
    assert list_messages(context)[2:] == [FIDS[2:4]]


def test_a_process_looks_at_the_workers_once_in_some_seconds(
    context: WorkerContext, publisher: Publisher, clock: Clock
) -> None:
    publisher.publish_all(FIDS[:2], "warm")
    send_heartbeat(context, threads=1)
    publisher.publish_all(FIDS[2:4], "warm")
    clock.advance(LOOK_SECONDS)
    publisher.publish_all(FIDS[4:6], "warm")
    assert list_messages(context) == [*([file_id] for file_id in FIDS[:4]), FIDS[4:6]]


def test_without_workers_each_subject_has_a_message_of_its_own(context: WorkerContext, publisher: Publisher) -> None:
    publisher.publish_all(FIDS[:2], "warm")
    assert list_messages(context) == [[FIDS[0]], [FIDS[1]]]


def test_where_the_budget_is_the_limit_each_subject_has_a_message_of_its_own(
    context: WorkerContext, clock: Clock
) -> None:
    send_heartbeat(context, threads=1)
    open_publisher(context, clock, LEAST_RATE - 1).publish_all(FIDS[:2], "warm")
    assert list_messages(context) == [[FIDS[0]], [FIDS[1]]]


def test_what_waits_is_counted_by_subject(context: WorkerContext, publisher: Publisher) -> None:
    send_heartbeat(context, threads=1)
    publisher.publish_all(FIDS, "warm")
    publisher.publish(FIDS[0], "rewarm")
    waiting = publisher.count_all_waiting()
    assert (waiting["warm"], waiting["rewarm"], waiting["hot"]) == (10, 1, 0)


def test_each_subject_of_a_message_has_a_run_in_case_the_message_is_lost(
    context: WorkerContext, publisher: Publisher
) -> None:
    send_heartbeat(context, threads=1)
    publisher.publish_all(FIDS, "warm")
    assert list_next_runs(context).keys() == set(FIDS)


def test_subjects_beyond_the_bound_of_the_lane_go_to_the_schedule(
    context: WorkerContext, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warmer.broker.publish.EAGER_MAX", 6)
    send_heartbeat(context, threads=1)
    publisher.publish_all(FIDS, "warm")
    assert list(map(len, list_messages(context))) == [4, 2]
    assert sorted(context.schedule.take(10, 60)) == FIDS[6:]
