"""Threads share a number of bytes, or of places."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import wait_until
from warmer.errors import Postponed
from warmer.images.memory import FairSemaphore


def test_requests_that_fit_together_do_not_wait() -> None:
    semaphore = FairSemaphore(10)
    with semaphore.acquire(6, 0), semaphore.acquire(4, 0), pytest.raises(Postponed), semaphore.acquire(1, 0):
        pass
    with semaphore.acquire(10, 0):
        pass


def test_the_bytes_are_free_again_after_an_error() -> None:
    semaphore = FairSemaphore(10)
    with pytest.raises(ZeroDivisionError), semaphore.acquire(10, 0):
        raise ZeroDivisionError
    with semaphore.acquire(10, 0):
        pass


def test_the_error_says_when_to_retry() -> None:
    with pytest.raises(Postponed) as caught, FairSemaphore(1).acquire(2, 0.01):
        pass
    assert caught.value.retry_after == 0.01


def test_a_later_small_request_does_not_overtake_a_large_one() -> None:
    semaphore, order = FairSemaphore(10), list[str]()

    def enter(name: str, amount: int) -> None:
        with semaphore.acquire(amount, 600):
            order.append(name)

    with semaphore.acquire(5, 1):
        large = threading.Thread(target=enter, args=("large", 10))
        large.start()
        wait_until(lambda: len(semaphore._waiting) == 1)
        small = threading.Thread(target=enter, args=("small", 1))
        small.start()
        wait_until(lambda: len(semaphore._waiting) == 2)
    for thread in (large, small):
        thread.join()
    assert order == ["large", "small"]


def test_a_request_that_timed_out_lets_the_next_one_in() -> None:
    semaphore = FairSemaphore(10)
    with semaphore.acquire(5, 1), ThreadPoolExecutor(1) as pool:
        timed_out = pool.submit(lambda: semaphore.acquire(10, 0.05).__enter__())
        wait_until(lambda: semaphore._waiting or timed_out.done())
        with semaphore.acquire(5, 600):  # behind it in the queue
            assert isinstance(timed_out.exception(), Postponed)
