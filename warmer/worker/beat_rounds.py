"""The rounds that beat starts: each is a message that a worker takes.

Every two seconds: `run_tick`, and `sample_lengths`, which records once a minute. Every ten minutes: `keep_newest`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from warmer.keys import LEASE_SECONDS
from warmer.state.outbox import drop_undelivered
from warmer.state.person import list_rewarmed
from warmer.state.tombstones import drop_oldest_tombstones
from warmer.state.workers import list_worker_statuses

if TYPE_CHECKING:
    from warmer.state.outbox import Outbox
    from warmer.wiring import WorkerContext  # not at runtime: every process imports this module for celeryconfig.py

TICK_SECONDS = 2.0
TICK_SHARE = 0.9  # of the budget: a tick publishes jobs for it; the rest is for new pictures
REWARM_MAX = 200  # waiting rewarm messages; with more, a tick publishes nothing
DELIVERIES_PER_TICK = 200  # messages for the webhook
KEEP_NEWEST_SECONDS = 600.0
SPREAD_SECONDS = 300.0  # the first runs of a batch of partners start at a random moment within them
SAMPLE_SECONDS = 60.0


def run_tick(context: WorkerContext, sleep: Callable[[float], None] = time.sleep) -> int:
    """Publish the subjects that are due, evenly over the tick: a burst would empty the budget and return as a burst.

    Returns their number.
    """
    if not context.schedule.take_slot("tick", TICK_SECONDS):
        return 0
    room = REWARM_MAX - context.publisher.count_waiting("rewarm")
    limit = min(room, count_per_tick(context.settings.telegram_rate))
    subjects = context.schedule.take(max(0, limit), LEASE_SECONDS)  # until the next run if the message is lost
    pause = get_pause_within_tick(len(subjects), context.budget.burst)
    for subject in subjects:
        context.publisher.publish(subject, "rewarm")
        sleep(pause)
    if context.delivery:
        publish_undelivered(context, context.delivery.outbox)
    return len(subjects)


def publish_undelivered(context: WorkerContext, outbox: Outbox) -> int:
    """Publish the ids whose events are due for an attempt, or whose message or worker was lost. Returns their number.

    An id that cannot be published stays due.
    """
    room = min(DELIVERIES_PER_TICK, context.publisher.count_room_for_events())
    ids = outbox.take_due(room) if room > 0 else []
    left = [person_id for person_id in ids if not context.publisher.send_event(person_id)]
    outbox.postpone_all(left, 0)
    return len(ids) - len(left)


def count_per_tick(rate: float) -> int:
    """Returns the most subjects that a tick publishes, with a budget of `rate` calls per second."""
    return max(1, int(rate * TICK_SECONDS * TICK_SHARE))


def get_pause_within_tick(number: int, burst: float) -> float:
    """Seconds after each of `number` messages: few go out at once, many are spread over the tick."""
    return 0.0 if number <= burst / 3 else 0.8 * TICK_SECONDS / number


def sample_lengths(context: WorkerContext) -> bool:
    """Record the lengths of queues and schedule, once per minute. Returns True if this call did."""
    if not context.schedule.take_slot("sample", SAMPLE_SECONDS):
        return False
    lengths = {f"queue:{queue}": number for queue, number in context.publisher.count_all_waiting().items()}
    due, late = context.schedule.count(), round(context.schedule.get_lateness())
    workers = len(list_worker_statuses(context.redis, context.keys))
    context.stats.sample({**lengths, "due": due, "late": late, "workers": workers})
    return True


def keep_newest(context: WorkerContext, uniform: Callable[[float, float], float] = random.uniform) -> int:
    """Schedule the newest partners' pictures and profiles that have no next run. Returns the number of partners.

    Pictures that are not stored run now: Redis has evicted them, or lost them. `uniform`: chooses a number between two,
    to spread load.
    """
    if not context.schedule.take_slot("keep_newest", KEEP_NEWEST_SECONDS):
        return 0
    drop_oldest_tombstones(context.redis, context.keys)
    if context.delivery is None:
        drop_undelivered(context.redis, context.keys)  # what a former webhook has left
    newest = context.people.list_recent_ids(context.settings.rewarm_partners)
    for start in range(0, len(newest), 50):
        found = context.people.get_many(newest[start : start + 50])
        context.people.drop_places([person.id for person in found if not person.is_registered])
        found = [person for person in found if person.is_registered]
        pictures = [person.photo_file_id for person in found if person.photo_file_id]
        statuses = context.steps.store.get_statuses(pictures)
        lost = [name for name, photo in zip(pictures, statuses, strict=True) if photo.status == "warming"]
        context.schedule.advance(lost, KEEP_NEWEST_SECONDS)
        subjects = [subject for person in found for subject in list_rewarmed(person)]
        context.schedule.schedule_if_absent(subjects, uniform(0, SPREAD_SECONDS))
    return len(newest)
