"""The total time of a task."""

from __future__ import annotations

import pytest

from tests.support.clock import Clock
from warmer.deadline import TASK_SECONDS, Deadline, JobContext
from warmer.errors import DeadlineExceeded, Transient
from warmer.keys import LEASE_SECONDS, Lane


def test_a_deadline_counts_down_to_zero_and_stays_there() -> None:
    clock = Clock()
    deadline = Deadline(2, clock)
    assert deadline.require() == 2
    clock.advance(1.5)
    assert deadline.require() == 0.5
    clock.advance(1)
    assert deadline.remaining == 0


def test_a_deadline_ends_with_the_one_around_it() -> None:
    clock = Clock()
    around = Deadline(3, clock)
    assert [Deadline(seconds, clock, around).remaining for seconds in (2, 5)] == [2, 3]
    inner = Deadline(5, clock, around)
    clock.advance(3)
    assert inner.remaining == 0


def test_an_expired_deadline_raises_an_error() -> None:
    with pytest.raises(DeadlineExceeded):
        Deadline(-1).require()
    assert issubclass(DeadlineExceeded, Transient)


@pytest.mark.parametrize(("lane", "patience"), [("hot", 1.5), ("warm", 1), ("rewarm", 0)])
def test_hot_waits_almost_as_long_as_its_client_warm_less_and_rewarm_not_at_all(lane: Lane, patience: float) -> None:
    assert JobContext.start(lane, 2, clock=Clock()).patience.remaining == patience


def test_the_deadline_of_a_task_is_before_the_end_of_its_lease() -> None:
    assert JobContext.start("warm", 2, clock=Clock()).deadline.remaining == TASK_SECONDS
    assert TASK_SECONDS < LEASE_SECONDS
