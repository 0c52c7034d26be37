"""Clients of every kind at once, and their answers while a fault lasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle

from tests.support.faults import DEADLINE, Answer, Clients, Stage
from tests.support.waiting import wait_until
from web.photos.cache import MAX_AGE_SECONDS


@contextmanager
def crowd(
    stage: Stage, hot: str, others: Sequence[str], *, number: int = 4, pause: float = 0.05, answers: int = 50
) -> Iterator[tuple[Clients, Clients]]:
    """Clients that request one picture all the time, and `number` clients with other requests and registrations.

    `pause` is the seconds between requests. The block starts when the latter have `answers` answers.
    """
    fresh = cycle(stage.add_people(500).items())
    stage.keep_in_memory(hot)
    with (
        Clients(lambda session: stage.get(hot, session)) as hits,
        Clients(
            *(lambda session, file_id=file_id: stage.get(file_id, session) for file_id in others),
            lambda session: stage.ask("/api/partner/recent", session=session),
            lambda session: stage.put(*next(fresh), session),
            number=number,
            pause=pause,
        ) as rest,
    ):
        wait_until(lambda: len(hits.answers) > 100 and len(rest.answers) > answers, DEADLINE)
        yield hits, rest


def check_hits(hits: Clients) -> None:
    """Check that hits continued: every answer is 200 while all web processes have the picture in their memory."""
    until = hits.answers[0].at + MAX_AGE_SECONDS / 2  # they have read it some seconds before
    assert [answer for answer in hits.without(200) if answer.status != 503 or answer.at + answer.seconds < until] == []


def share_of(some: list[Answer], among: list[Answer]) -> float:
    """Returns the percentage."""
    return 100 * len(some) / len(among)
