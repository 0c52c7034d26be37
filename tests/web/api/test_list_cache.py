"""The lists that a process remembers: for a second, a few of them, and none that something heard has changed."""

from __future__ import annotations

import pytest

from tests.support.clock import Clock
from warmer.keys import Subject
from warmer.state.remembered import LIST_SECONDS
from web.api.lists import LISTS_MAX, ListCache, PartnerList

ANN, PICTURE = Subject.of_person(1), Subject("AgACAgIAAxkBAAIBcGab")


@pytest.fixture
def memory(clock: Clock) -> ListCache:
    """One that hears purges."""
    memory = ListCache(clock)
    memory.open()
    return memory


def keep(memory: ListCache, *limits: int, subjects: tuple[str, ...] = (), read_at: float = 1000.0) -> None:
    for limit in limits:
        found = PartnerList(b"{}", [], frozenset(subjects))
        memory.put(limit, found, read_at, memory.get_generation())


def kept(memory: ListCache, *limits: int) -> list[int]:
    return [limit for limit in limits if memory.get(limit)]


def test_a_list_is_found_by_its_length(memory: ListCache) -> None:
    found = PartnerList(b"{}", [], frozenset())
    memory.put(20, found, 1000.0, memory.get_generation())
    assert memory.get(20) is found
    assert memory.get(21) is None


def test_a_list_is_remembered_for_a_second_from_its_reading_on(memory: ListCache, clock: Clock) -> None:
    clock.advance(0.5)  # the reading took so long
    keep(memory, 20)
    clock.advance(LIST_SECONDS - 0.5)
    assert kept(memory, 20) == [20]
    clock.advance(0.01)
    assert kept(memory, 20) == []


def test_the_oldest_lists_make_room(memory: ListCache) -> None:
    limits = range(1, LISTS_MAX + 3)
    keep(memory, *limits)
    assert kept(memory, *limits) == [*limits][2:]
    assert len(memory._lists) == LISTS_MAX


def test_a_purge_ends_every_list_and_those_that_are_being_read(memory: ListCache) -> None:
    keep(memory, 1, 2, subjects=(ANN,))
    generation = memory.get_generation()
    memory.end_all()
    memory.put(3, PartnerList(b"{}", [], frozenset()), 1000.0, generation)
    assert kept(memory, 1, 2, 3) == []


@pytest.mark.parametrize("outcome", ["stored", "done", "unavailable", "forgotten"])
def test_done_ends_the_lists_that_show_its_subject_and_those_that_are_being_read(
    memory: ListCache, outcome: str
) -> None:
    keep(memory, 1, subjects=(ANN, PICTURE))
    keep(memory, 2, subjects=(ANN,))
    generation = memory.get_generation()
    memory.end_done(f"{PICTURE} {outcome}")
    memory.put(3, PartnerList(b"{}", [], frozenset()), 1000.0, generation)
    assert kept(memory, 1, 2, 3) == [2]


def test_while_no_purges_are_heard_nothing_is_remembered(clock: Clock) -> None:
    memory = ListCache(clock)
    keep(memory, 1)
    memory.open()
    assert kept(memory, 1) == []
    keep(memory, 2)
    memory.close()
    keep(memory, 3)
    assert kept(memory, 2, 3) == []


def test_a_new_subscription_ends_every_list_and_those_that_are_being_read(memory: ListCache) -> None:
    keep(memory, 1)
    generation = memory.get_generation()
    memory.open()
    memory.put(2, PartnerList(b"{}", [], frozenset()), 1000.0, generation)
    assert kept(memory, 1, 2) == []
