"""Several subjects in one message: each has its own lease, outcome, log line and metric."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

from celery.worker import state
from redis.exceptions import RedisError

from warmer.flow.outcome import Outcome
from warmer.keys import Subject
from warmer.state.schedule import Schedule

TURN_SECONDS = 5.0  # a message that takes longer begins no further subject


def warm_each(
    subjects: Sequence[str],
    warm: Callable[[Subject], Outcome],
    schedule: Schedule,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Warm one after another. Returns the number of each kind of outcome.

    When one raises, the turn is over, or the worker stops, those that have not begun are due at once: they get messages
    of their own from beat's next round.
    """
    ends_at = clock() + TURN_SECONDS
    begun = 0
    kinds: Counter[str] = Counter()
    try:
        for subject in subjects:
            if begun and (clock() >= ends_at or is_stopping()):
                break
            begun += 1
            kinds[warm(Subject(subject)).kind] += 1
    finally:
        left = subjects[begun:]
        with suppress(RedisError):  # the run that they have since they were published stays
            schedule.set_all(left, 0)
    if left:
        kinds["left to the schedule"] = len(left)
    return ", ".join(f"{number} {kind}" for kind, number in kinds.items())


def is_stopping() -> bool:
    """Returns True after the signal of a warm shutdown."""
    return state.should_stop is not None and state.should_stop is not False
