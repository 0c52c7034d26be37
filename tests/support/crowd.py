"""Clients of every kind, at once: what they got while something broke."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle

from tests.support.faults import DEADLINE, Answer, Clients, Stage
from tests.support.waiting import wait_until


@contextmanager
def crowd(stage: Stage, people: dict[int, str]) -> Iterator[tuple[Clients, Clients]]:
    """Clients of one picture that is asked for all the time, and of all the others, the list and registrations."""
    hot, *others = people.values()
    fresh = cycle(stage.add_people(300).items())
    with (
        Clients(lambda session: stage.get(hot, session)) as hits,
        Clients(
            *(lambda session, file_id=file_id: stage.get(file_id, session) for file_id in others),
            lambda session: stage.ask("/api/partner/recent", session=session),
            lambda session: stage.put(*next(fresh), session),
            number=4,
            pause=0.05,
        ) as rest,
    ):
        wait_until(lambda: len(hits.answers) > 100 and len(rest.answers) > 50, DEADLINE)
        yield hits, rest


def share_of(some: list[Answer], among: list[Answer]) -> float:
    """How many of a hundred."""
    return 100 * len(some) / len(among)
