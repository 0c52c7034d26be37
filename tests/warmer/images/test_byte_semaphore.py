"""Room for so many bytes at a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import wait_until
from warmer.errors import Postponed
from warmer.images.memory import ByteSemaphore


def test_what_fits_beside_each_other_does_not_wait() -> None:
    room = ByteSemaphore(10)
    with room.take(6, 0), room.take(4, 0), pytest.raises(Postponed), room.take(1, 0):
        pass
    with room.take(10, 0):
        pass


def test_the_room_is_free_again_after_an_error() -> None:
    room = ByteSemaphore(10)
    with pytest.raises(ZeroDivisionError), room.take(10, 0):
        raise ZeroDivisionError
    with room.take(10, 0):
        pass


def test_postponed_says_when_to_come_again() -> None:
    with pytest.raises(Postponed) as caught, ByteSemaphore(1).take(2, 0.01):
        pass
    assert caught.value.retry_after == 0.01


def test_whoever_comes_later_does_not_overtake_a_large_one() -> None:
    room, order = ByteSemaphore(10), list[str]()

    def enter(name: str, amount: int) -> None:
        with room.take(amount, 600):
            order.append(name)

    with room.take(5, 1):
        large = threading.Thread(target=enter, args=("large", 10))
        large.start()
        wait_until(lambda: len(room._line) == 1)
        small = threading.Thread(target=enter, args=("small", 1))
        small.start()
        wait_until(lambda: len(room._line) == 2)
    for thread in (large, small):
        thread.join()
    assert order == ["large", "small"]


def test_one_that_gave_up_lets_the_next_one_in() -> None:
    room = ByteSemaphore(10)
    with room.take(5, 1), ThreadPoolExecutor(1) as pool:
        given_up = pool.submit(lambda: room.take(10, 0.05).__enter__())
        wait_until(lambda: room._line or given_up.done())
        with room.take(5, 600):  # behind it in the line
            assert isinstance(given_up.exception(), Postponed)
