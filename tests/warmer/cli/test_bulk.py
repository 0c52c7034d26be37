"""Warming many rows: published in batches, followed until they are settled, and counted."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from redis import Redis

from tests.conftest import next_id
from tests.support.clock import Clock
from tests.support.thorough import THOROUGH
from tests.support.waiting import wait_until
from warmer.cli.bulk import BATCH, IN_FLIGHT_MAX, LOOK_SECONDS, BulkWarming
from warmer.cli.rows import Row
from warmer.errors import InvalidFileId
from warmer.keys import Keys, Subject
from warmer.wiring import WorkerContext

FID = "AgACAgIAAxkBAAIB0001"
ROWS, FRAMES = (600, 10) if THOROUGH else (200, 1)  # per batch; stack depth of the allocation trace


@pytest.fixture
def bulk(context: WorkerContext, clock: Clock) -> BulkWarming:
    return BulkWarming(context, sleep=clock.sleep)


def ids(number: int) -> list[Row]:
    return [Row(next_id(), "", None) for _ in range(number)]


def settle(context: WorkerContext, rows: list[Row]) -> None:
    """Mark them as if workers had found no photo."""
    for row in rows:
        context.redis.set(context.keys.unavailable(Subject.of_person(row.user_id or 0)), "none")


def test_a_settled_row_is_not_published(bulk: BulkWarming) -> None:
    settle(bulk.context, rows := ids(250))
    assert list(bulk.warm(rows))[-1] == bulk.settled == bulk.counts["none"] == 250
    assert bulk.context.publisher.count_waiting("warm") == 0


def test_without_waiting_no_row_is_counted(bulk: BulkWarming) -> None:
    assert list(bulk.warm(ids(BATCH + 5), waits=False)) == [BATCH, BATCH + 5]
    assert bulk.counts.total() == 0
    assert bulk.context.publisher.count_waiting("warm") == BATCH + 5


def test_the_number_of_unsettled_rows_is_limited(bulk: BulkWarming) -> None:
    rows = ids(2 * IN_FLIGHT_MAX)
    progress = bulk.warm(rows)
    wait_until(lambda: next(progress) or bulk.context.publisher.count_waiting("warm") >= IN_FLIGHT_MAX)
    next(progress)
    assert bulk.context.publisher.count_waiting("warm") == IN_FLIGHT_MAX
    settle(bulk.context, rows)
    assert list(progress)[-1] == len(rows)


def test_an_unsettled_row_is_checked_again_and_again(bulk: BulkWarming, clock: Clock) -> None:
    progress = bulk.warm(rows := ids(1))
    assert [next(progress) for _ in range(4)] == [0] * 4
    settle(bulk.context, rows)
    assert list(progress) == [1]
    assert clock.slept == [LOOK_SECONDS] * 3  # the first two checks belong to two stages


def test_a_repeated_row_counts_twice_and_is_published_once(bulk: BulkWarming) -> None:
    rows = ids(1) * 2
    progress = bulk.warm(rows)
    assert next(progress) == 0
    assert bulk.context.publisher.count_waiting("warm") == 1
    settle(bulk.context, rows)
    assert list(progress)[-1] == 2


def test_the_causes_of_unavailable_rows_are_counted(bulk: BulkWarming, redis: Redis, keys: Keys) -> None:
    redis.set(keys.unavailable(FID), InvalidFileId.cause)
    assert list(bulk.warm([Row(None, "", FID)]))[-1] == 1
    assert bulk.causes == {InvalidFileId.cause: 1}


def test_a_named_row_is_looked_up_again(bulk: BulkWarming) -> None:
    user_id = next_id()
    settle(bulk.context, [row := Row(user_id, "Ann", None)])
    assert next(bulk.warm([row])) == 0
    assert bulk.context.steps.store.get_unavailable(Subject.of_person(user_id)) is None


def test_a_row_registers_a_forgotten_partner_again(bulk: BulkWarming) -> None:
    user_id = next_id()
    bulk.context.steps.forget.person(user_id)
    list(bulk.warm([Row(user_id, "Ann", FID)], waits=False))
    assert bulk.context.people.get(user_id).shown == (FID,)
    assert bulk.context.steps.store.get_unavailable(Subject.of_person(user_id)) is None


def test_memory_does_not_grow_with_the_rows(bulk: BulkWarming) -> None:
    tracemalloc.start(FRAMES)
    try:
        kept = [count_kept_bytes(bulk, ROWS) for _ in range(2)]
    finally:
        tracemalloc.stop()
    assert bulk.settled == 2 * ROWS
    assert kept[1] - kept[0] < 50 * ROWS


def count_kept_bytes(bulk: BulkWarming, number: int) -> int:
    """Returns the bytes that this project's code still holds after this many more rows."""
    list(bulk.warm([Row(next_id(), "Ann", None) for _ in range(number)], waits=False))
    gc.collect()  # frees the Redis client's cycles
    ours = tracemalloc.Filter(True, "*/warmer/*", all_frames=True)
    return sum(one.size for one in tracemalloc.take_snapshot().filter_traces([ours]).statistics("filename"))
