"""Who is shown: the order of first registration, and which picture each partner shows."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis

from warmer.keys import Keys, user_subject
from warmer.state.partners import FORMER_MAX, Partner, PartnerDirectory

A, B, C = (f"AgACAgIAAxkBAAIBcGa{letter}" for letter in "ABC")


@pytest.fixture
def partners(redis: Redis, keys: Keys) -> PartnerDirectory:
    return PartnerDirectory(redis, keys, keep=2)


def get(partners: PartnerDirectory, partner_id: int) -> Partner:
    partner = partners.get(partner_id)
    assert partner
    return partner


def showing(partners: PartnerDirectory, file_id: str) -> set[int]:
    """Who is noted as showing the picture."""
    members: Any = partners.redis.smembers(partners.keys.partners(file_id))
    return {int(member) for member in members}


# Order


def test_the_newest_comes_first(partners: PartnerDirectory) -> None:
    for partner_id in (1, 2, 3):
        partners.register(partner_id, "Ann", None)
    assert [partner.id for partner in partners.list_recent(10)] == [3, 2, 1]
    assert partners.list_recent_ids(2) == [3, 2]
    assert partners.list_recent_ids(0) == []


def test_the_list_keeps_the_newest_and_drops_the_others(
    partners: PartnerDirectory, redis: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warmer.state.partners.RECENT_CAP", 3)
    for partner_id in (1, 2, 3, 4, 5):
        partners.register(partner_id, "Ann", None)
    assert redis.zrange(keys.recent, 0, -1) == [b"3", b"4", b"5"]


def test_registering_again_changes_the_name_and_never_the_place(partners: PartnerDirectory) -> None:
    first, is_new = partners.register(1, "Ann", None)
    partners.register(2, "Bob", None)
    again, is_new_again = partners.register(1, "Anna", None)
    assert (is_new, is_new_again) == (True, False)
    assert (again.name, again.joined_us) == ("Anna", first.joined_us)
    assert partners.list_recent_ids(10) == [2, 1]


def test_the_place_is_the_time_of_redis_in_microseconds(partners: PartnerDirectory, redis: Redis, keys: Keys) -> None:
    before = redis.time()
    partner, _ = partners.register(1, "Ann", None)
    after = redis.time()
    assert before[0] * 1_000_000 + before[1] <= partner.joined_us <= after[0] * 1_000_000 + after[1]
    assert redis.zscore(keys.recent, "1") == partner.joined_us


def test_many_registering_one_id_at_once_make_one_partner(partners: PartnerDirectory, redis: Redis) -> None:
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda number: partners.register(1, f"Ann {number}", None), range(64)))
    assert sum(is_new for _, is_new in made) == 1
    assert len({partner.joined_us for partner, _ in made}) == 1
    assert partners.list_recent_ids(10) == [1]


def test_many_registering_different_ids_all_get_a_place(partners: PartnerDirectory) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: partners.register(number, "Ann", A), range(1, 65)))
    assert sorted(partners.list_recent_ids(100)) == list(range(1, 65))
    assert showing(partners, A) == set(range(1, 65))


def test_of_many_pictures_given_at_once_the_last_one_is_shown_and_no_other(
    partners: PartnerDirectory, redis: Redis
) -> None:
    names = [f"{A}{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: partners.register(1, "Ann", name), names))
    assert {name for name in names if showing(partners, name)} == set(partners.list_photos(1))


def test_a_name_and_a_picture_written_at_once_are_both_kept(partners: PartnerDirectory) -> None:
    partners.register(1, "Ann", None)
    with ThreadPoolExecutor(8) as pool:
        pool.map(lambda number: partners.register(1, f"Ann {number}", None), range(20))
        pool.submit(partners.adopt, 1, A, "unique")
    assert get(partners, 1).photo_file_id == A


def test_records_and_order_never_expire(partners: PartnerDirectory, redis: Redis, keys: Keys) -> None:
    partners.register(1, "Ann", A)
    assert [redis.ttl(key) for key in (keys.partner(1), keys.recent, keys.partners(A))] == [-1, -1, -1]


def test_an_unknown_id_is_nobody(partners: PartnerDirectory) -> None:
    partners.register(1, "Ann", None)
    assert partners.get(2) is None
    assert partners.get_many([2, 1]) == [None, get(partners, 1)]
    assert partners.get_many([]) == []


def test_a_negative_id_is_a_partner_like_any_other(partners: PartnerDirectory) -> None:
    partners.register(-1001, "Group", None)
    assert partners.list_recent_ids(1) == [-1001]


def test_a_place_without_a_record_is_not_listed_and_can_be_dropped(
    partners: PartnerDirectory, redis: Redis, keys: Keys
) -> None:
    partners.register(1, "Ann", None)
    redis.zadd(keys.recent, {"7": 1})
    assert [partner.id for partner in partners.list_recent(10)] == [1]
    partners.drop_places([7])
    partners.drop_places([])
    assert partners.list_recent_ids(10) == [1]


# Records


def test_unknown_fields_are_kept(partners: PartnerDirectory, redis: Redis, keys: Keys) -> None:
    partners.register(1, "Ann", A)
    record = json.loads(redis.get(keys.partner(1)) or "")
    redis.set(keys.partner(1), json.dumps(record | {"from_the_future": [1]}))
    partners.register(1, "Anna", None)
    partners.adopt(1, B, "unique")
    partners.drop_photo(1)
    assert json.loads(redis.get(keys.partner(1)) or "")["from_the_future"] == [1]
    assert get(partners, 1).name == "Anna"


def test_a_record_of_an_older_release_is_read(partners: PartnerDirectory, redis: Redis, keys: Keys) -> None:
    redis.set(keys.partner(1), json.dumps({"id": 1, "name": "Ann", "joined_us": 5}))
    assert partners.get(1) == Partner(1, "Ann", 5)


# Pinned


def test_a_given_picture_is_pinned_until_the_next_put(partners: PartnerDirectory) -> None:
    assert partners.register(1, "Ann", A)[0].is_pinned
    assert partners.register(1, "Ann", None, unpin=False)[0].is_pinned
    assert not partners.register(1, "Ann", None)[0].is_pinned
    assert get(partners, 1).photo_file_id == A


def test_without_a_picture_the_profile_is_followed(partners: PartnerDirectory) -> None:
    partner, _ = partners.register(1, "Ann", None, unpin=False)
    assert (partner.is_pinned, partner.photo_file_id) == (False, None)


def test_a_new_picture_leaves_the_old_one_until_it_is_ready(partners: PartnerDirectory) -> None:
    partners.register(1, "Ann", A)
    partners.register(1, "Ann", B)
    assert (get(partners, 1).photo_file_id, get(partners, 1).previous_file_id) == (B, A)
    assert partners.list_photos(1) == [B, A]
    assert (showing(partners, A), showing(partners, B)) == ({1}, {1})


def test_a_third_picture_lets_the_first_one_go(partners: PartnerDirectory) -> None:
    for file_id in (A, B, C):
        partners.register(1, "Ann", file_id)
    assert partners.list_photos(1) == [C, B]
    assert showing(partners, A) == set()


def test_back_and_forth_between_two_pictures_keeps_both(partners: PartnerDirectory) -> None:
    for file_id in (A, B, A, A):
        partners.register(1, "Ann", file_id)
    assert partners.list_photos(1) == [A, B]
    assert (showing(partners, A), showing(partners, B)) == ({1}, {1})


# Followed


def test_a_found_picture_is_adopted(partners: PartnerDirectory) -> None:
    partners.register(1, "Ann", None)
    assert partners.adopt(1, A, "unique")
    assert (get(partners, 1).photo_file_id, get(partners, 1).photo_unique_id) == (A, "unique")
    assert showing(partners, A) == {1}


def test_an_adopted_picture_replaces_all_before_it(partners: PartnerDirectory) -> None:
    partners.register(1, "Ann", A)
    partners.register(1, "Ann", B)
    partners.register(1, "Ann", None)
    assert partners.adopt(1, C, "unique")
    assert partners.list_photos(1) == [C]
    assert [showing(partners, file_id) for file_id in (A, B, C)] == [set(), set(), {1}]


def test_adopting_the_same_picture_again_changes_nothing(partners: PartnerDirectory) -> None:
    partners.register(1, "Ann", None)
    partners.adopt(1, A, "unique")
    assert partners.adopt(1, A, "unique")
    assert (partners.list_photos(1), showing(partners, A)) == ([A], {1})


def test_a_pinned_partner_adopts_nothing(partners: PartnerDirectory) -> None:
    partners.register(1, "Ann", A)
    assert not partners.adopt(1, B, "unique")
    assert (partners.list_photos(1), showing(partners, B)) == ([A], set())


def test_a_forgotten_partner_adopts_nothing_and_leaves_nothing(partners: PartnerDirectory, redis: Redis) -> None:
    assert not partners.adopt(1, A, "unique")
    assert not list(redis.scan_iter("*"))


def test_a_profile_without_a_picture_shows_none(partners: PartnerDirectory) -> None:
    partners.register(1, "Ann", None)
    partners.adopt(1, A, "unique")
    assert partners.drop_photo(1) == [A]
    assert partners.list_photos(1) == []


def test_a_pinned_picture_is_not_dropped_with_the_profile(partners: PartnerDirectory) -> None:
    partners.register(1, "Ann", A)
    assert partners.drop_photo(1) == []
    assert partners.list_photos(1) == [A]


def test_dropping_the_picture_of_nobody_is_no_error(partners: PartnerDirectory, redis: Redis) -> None:
    assert partners.drop_photo(1) == []
    assert not list(redis.scan_iter("*"))


def test_a_removed_partner_is_gone_with_its_place(partners: PartnerDirectory, redis: Redis, keys: Keys) -> None:
    partners.register(1, "Ann", A)
    partners.register(1, "Ann", B)
    assert partners.remove(1) == [B, A]
    assert partners.remove(1) == []
    assert not redis.exists(keys.partner(1), keys.recent)


def test_who_comes_back_gets_a_new_place(partners: PartnerDirectory) -> None:
    for partner_id in (1, 2):
        partners.register(partner_id, "Ann", None)
    partners.remove(1)
    assert partners.register(1, "Ann", None)[1]
    assert partners.list_recent_ids(10) == [1, 2]


# Former pictures


def test_every_picture_that_was_ever_shown_is_remembered(partners: PartnerDirectory) -> None:
    for file_id in (A, B, C, A):
        partners.register(1, "Ann", file_id)
    assert set(partners.list_ever_shown(1)) == {A, B, C}
    assert partners.list_photos(1) == [A, C]


def test_a_followed_picture_that_was_replaced_is_remembered_too(partners: PartnerDirectory) -> None:
    partners.register(1, "Ann", None)
    for file_id in (A, B):
        partners.adopt(1, file_id, "unique")
    assert partners.list_ever_shown(1) == [B, A]
    assert partners.drop_photo(1) == [B, A]
    assert partners.list_ever_shown(1) == []


def test_only_so_many_former_pictures_are_remembered(partners: PartnerDirectory) -> None:
    for number in range(FORMER_MAX + 5):
        partners.register(1, "Ann", f"{A}{number}")
    assert len(partners.list_ever_shown(1)) == FORMER_MAX + 1
    assert f"{A}{FORMER_MAX}" in partners.list_ever_shown(1)


# Kept warm


def test_the_newest_are_kept(partners: PartnerDirectory) -> None:
    for partner_id, file_id in ((1, A), (2, B), (3, C)):
        partners.register(partner_id, "Ann", file_id)
    assert [partners.is_kept_warm(file_id) for file_id in (A, B, C)] == [False, True, True]
    assert [partners.is_kept_warm(user_subject(partner_id)) for partner_id in (1, 2, 3, 4)] == [
        False,
        True,
        True,
        False,
    ]


def test_a_picture_is_kept_as_long_as_one_of_the_newest_shows_it(partners: PartnerDirectory) -> None:
    for partner_id, file_id in ((1, A), (2, B), (3, A)):
        partners.register(partner_id, "Ann", file_id)
    assert partners.is_kept_warm(A)


def test_a_picture_that_was_replaced_lives_its_ttl_out(partners: PartnerDirectory) -> None:
    partners.register(1, "Ann", A)
    partners.register(1, "Ann", B)
    assert (partners.is_kept_warm(A), partners.is_kept_warm(B)) == (False, True)
    partners.register(1, "Ann", A)
    assert (partners.is_kept_warm(A), partners.is_kept_warm(B)) == (True, False)


def test_a_picture_that_nobody_shows_is_not_kept(partners: PartnerDirectory) -> None:
    assert not partners.is_kept_warm(A)


def test_nothing_is_kept_where_nothing_is_to_be(redis: Redis, keys: Keys) -> None:
    partners = PartnerDirectory(redis, keys, keep=0)
    partners.register(1, "Ann", A)
    assert not partners.is_kept_warm(A)
    assert partners.list_recent_ids(10) == [1]
