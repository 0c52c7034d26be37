"""The benchmark writes partners as the service itself does."""

from __future__ import annotations

from redis import Redis

from benches.dataset import write_partners
from warmer.keys import Keys, Subject
from warmer.wiring import WorkerContext


def test_every_written_partner_is_listed_with_a_stored_picture_and_scheduled_for_later(
    context: WorkerContext, redis: Redis, keys: Keys
) -> None:
    write_partners(redis, keys, 30)
    partners = context.people.list_recent(100)
    glances = context.steps.store.get_statuses([str(partner.photo_file_id) for partner in partners])
    assert [partner.name for partner in partners] == [f"Partner {place}" for place in reversed(range(30))]
    assert {glance.status for glance in glances} == {"ready"}
    assert context.schedule.count() == 60
    assert context.schedule.take(10, 60) == []
    assert context.people.is_kept_warm(Subject.of_person(partners[0].id))
    assert context.people.is_kept_warm(str(partners[0].photo_file_id))
