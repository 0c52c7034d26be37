"""The worlds of the benchmark are what the service itself would have written."""

from __future__ import annotations

from redis import Redis

from benches.world import build
from warmer.keys import Keys, user_subject
from warmer.wiring import Workshop


def test_every_partner_of_a_world_is_listed_with_a_warm_picture(shop: Workshop, redis: Redis, keys: Keys) -> None:
    build(redis, keys, 30)
    partners = shop.partners.list_recent(100)
    glances = shop.desk.store.glance([str(partner.photo_file_id) for partner in partners])
    assert [partner.name for partner in partners] == [f"Partner {place}" for place in reversed(range(30))]
    assert {glance.status for glance in glances} == {"ready"}


def test_every_picture_and_profile_of_a_world_has_a_turn_that_is_not_yet(
    shop: Workshop, redis: Redis, keys: Keys
) -> None:
    build(redis, keys, 3)
    partners = shop.partners.list_recent(3)
    assert shop.due.count() == 6
    assert shop.due.take(10, 60) == []
    assert shop.partners.keeps(user_subject(partners[0].id))
    assert shop.partners.keeps(str(partners[0].photo_file_id))
