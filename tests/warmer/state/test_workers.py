"""The status of workers as others read it, and the workers that are missed."""

from __future__ import annotations

import json

from tests.support.cli_parts import send_heartbeat
from warmer.state.workers import SEEN_SECONDS, WorkerStatus, judge_bot, list_worker_statuses, read_heartbeats
from warmer.wiring import WorkerContext


def list_silent(context: WorkerContext) -> list[str]:
    return list(read_heartbeats(context.redis, context.keys).silent)


def test_a_worker_that_ended_without_a_goodbye_is_missed_for_an_hour(context: WorkerContext) -> None:
    one, _ = send_heartbeat(context, "one"), send_heartbeat(context, "two")
    assert list_silent(context) == []
    context.redis.zincrby(context.keys.workers, 5, "two")  # its last heartbeat comes after the start of the other
    context.redis.delete(context.keys.worker("two"))  # as a kill and 15 s do
    assert list_silent(context) == ["two"]
    context.redis.zadd(context.keys.workers, {"two": context.redis.time()[0] - SEEN_SECONDS - 1})
    one.beat()
    assert list_silent(context) == []


def test_a_worker_that_said_goodbye_is_not_missed(context: WorkerContext) -> None:
    send_heartbeat(context, "one")
    send_heartbeat(context, "two").close()
    assert list_silent(context) == []


def test_a_worker_that_starts_later_replaces_one_that_was_killed(context: WorkerContext) -> None:
    now = context.redis.time()[0]
    send_heartbeat(context, "successor")
    context.redis.zadd(context.keys.workers, {"killed": now - 60})
    assert list_silent(context) == []
    context.redis.zadd(context.keys.workers, {"killed too": now - 60})
    assert len(list_silent(context)) == 1  # it replaces one of them


def add_killed_worker(context: WorkerContext, name: str, started_seconds_ago: int, killed_seconds_ago: int) -> None:
    now = context.redis.time()[0]
    context.redis.zadd(context.keys.workers, {name: now - killed_seconds_ago})
    context.redis.set(context.keys.started(name), now - started_seconds_ago)


def test_a_successor_that_was_killed_and_replaced_as_well_leaves_no_gap(context: WorkerContext) -> None:
    send_heartbeat(context, "third")
    add_killed_worker(context, "second", 50, 30)
    add_killed_worker(context, "first", 500, 60)
    assert list_silent(context) == []
    add_killed_worker(context, "beside them", 500, 30)
    assert len(list_silent(context)) == 1


def test_a_worker_that_lived_for_one_heartbeat_is_not_its_own_successor(context: WorkerContext) -> None:
    send_heartbeat(context, "one")
    add_killed_worker(context, "short", -5, -5)  # after the other's start
    assert list_silent(context) == ["short"]


def test_the_worker_status_of_another_release_is_read(context: WorkerContext) -> None:
    send_heartbeat(context, "one")
    said = json.loads(context.redis.get(context.keys.worker("one")) or "")
    context.redis.set(context.keys.worker("one"), json.dumps(said | {"release": "next", "bot": "asleep"}))
    statuses = list_worker_statuses(context.redis, context.keys)
    assert [status.name for status in statuses] == ["one"]
    assert judge_bot(statuses) == "unknown"
    context.redis.set(context.keys.worker("one"), '{"name": "one"}')  # of an older release, without the other fields
    assert list_worker_statuses(context.redis, context.keys) == [WorkerStatus("one", "unknown", "", "")]
