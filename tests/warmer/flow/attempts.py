"""One attempt at a subject, and what the tests about its end share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.support.backoff import end_backoffs
from tests.warmer.conftest import list_next_runs
from warmer.flow.outcome import Outcome
from warmer.keys import Lane, Subject
from warmer.state.lease import Lease
from warmer.wiring import WorkerContext

FID, USER = Subject("AgACAgIAAxkBAAIBcGab"), Subject.of_person(42)
LEASE = 31  # seconds until the next run of a subject whose worker died


def get_next_run(context: WorkerContext, subject: str = FID) -> float | None:
    """Seconds until the next run of the subject, None if it has none."""
    return list_next_runs(context).get(subject)


def run(
    context: WorkerContext,
    error: BaseException | None = None,
    subject: Subject = FID,
    lane: Lane = "warm",
    meanwhile: Callable[[Lease], object] = lambda _: None,
    uniform: Callable[[float, float], float] | None = None,
) -> Outcome:
    """Run one attempt, during which `meanwhile` happens and which ends with the error, if given.

    `uniform` replaces the randomness: `min` makes each delay as short as possible, `max` as long.
    """

    def work(lease: Lease) -> Outcome:
        meanwhile(lease)
        if error:
            raise error
        return Outcome("done")

    end_backoffs(context.redis)
    attempts = context.steps.attempts
    return replace(attempts, uniform=uniform or attempts.uniform).run(subject, lane, work)


def lose(context: WorkerContext) -> Callable[[Lease], object]:
    """The lease expires and another worker takes over."""
    return lambda lease: context.redis.set(context.keys.lease(lease.subject), "another")


def is_free(context: WorkerContext, subject: str = FID) -> bool:
    return not context.redis.exists(context.keys.lease(subject), context.keys.crashes(subject))


def keep(context: WorkerContext, file_id: str | None = None) -> None:
    """Keep the subject warm: one of the newest partners shows it."""
    context.people.register(42, "Ann", file_id)
