"""People: the order of first registration, and the picture that each person shows."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
from redis import Redis

from tests.conftest import listening, wait_until
from tests.support.redis_kinds import KIND
from tests.warmer.state.conftest import A, B, C, found, showing
from warmer.keys import Keys, Subject
from warmer.state.people import People
from warmer.state.person import Person


def test_the_newest_partner_comes_first(people: People) -> None:
    for person_id in (1, 2, 3):
        people.register(person_id, "Ann", None)
    assert [person.id for person in people.list_recent(10)] == [3, 2, 1]
    assert people.list_recent_ids(2) == [3, 2]
    assert people.list_recent_ids(0) == []


def test_the_list_keeps_the_newest_and_drops_older_partners(
    people: People, redis: Redis, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warmer.state.people.RECENT_CAP", 3)
    for person_id in (1, 2, 3, 4, 5):
        people.register(person_id, "Ann", None)
    assert redis.zrange(keys.recent, 0, -1) == [b"3", b"4", b"5"]


def test_registering_again_changes_the_name_and_not_the_position(people: People) -> None:
    first, is_new, *_ = people.register(1, "Ann", None)
    people.register(2, "Bob", None)
    again, is_new_again, *_ = people.register(1, "Anna", None)
    assert (is_new, is_new_again) == (True, False)
    assert (again.name, again.joined_us) == ("Anna", first.joined_us)
    assert people.list_recent_ids(10) == [2, 1]


def test_the_position_is_the_time_of_redis_in_microseconds(people: People, redis: Redis, keys: Keys) -> None:
    before = redis.time()
    person, *_ = people.register(1, "Ann", None)
    after = redis.time()
    assert before[0] * 1_000_000 + before[1] <= (person.joined_us or 0) <= after[0] * 1_000_000 + after[1]
    assert redis.zscore(keys.recent, "1") == person.joined_us


def test_concurrent_registrations_of_one_id_make_one_partner(people: People, redis: Redis) -> None:
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda number: people.register(1, f"Ann {number}", None), range(64)))
    assert sum(is_new for _, is_new, *_ in made) == 1
    assert len({person.joined_us for person, *_ in made}) == 1
    assert people.list_recent_ids(10) == [1]


def test_concurrent_registrations_of_different_ids_all_get_a_position(people: People) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: people.register(number, "Ann", A), range(1, 65)))
    assert sorted(people.list_recent_ids(100)) == list(range(1, 65))
    assert showing(people, A) == set(range(1, 65))


def test_of_concurrent_pictures_exactly_the_last_one_is_shown(people: People, redis: Redis) -> None:
    names = [f"{A}{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: people.register(1, "Ann", name), names))
    assert {name for name in names if showing(people, name)} == set(people.get(1).shown)


def test_in_a_cluster_a_picture_has_its_people_before_the_record_is_sent(people: People, redis: Redis) -> None:
    if isinstance(redis, Redis):
        pytest.skip("one server keeps the order of a pipeline")
    people.register(1, "Ann", A)
    before: list[set[int]] = []
    records = people._records
    records.update(
        Person(1), lambda record, _: record | {"photo_file_id": B}, lambda *_: before.append(showing(people, B))
    )
    assert before == [{1}]


@pytest.mark.skipif(KIND != "cluster", reason="one server keeps the order of a pipeline")
def test_in_a_cluster_an_id_is_purged_after_its_record_is_written(people: People, redis: Any, keys: Keys) -> None:
    find = redis.nodes.get_node_from_key
    others = [find(key) for key in (keys.recent, keys.purge, keys.schedule)]  # the last one has the time
    person_id = next(one for one in count(1) if find(keys.person(one)) not in others)
    file_id = next(f"{A}{one}" for one in count(1) if find(keys.people(f"{A}{one}")) in others)
    late = redis.nodes.get_redis_connection(find(keys.person(person_id)))
    with listening(redis, keys.purge) as hear, ThreadPoolExecutor(1) as pool:
        late.client_pause(60_000, all=False)  # it reads, and writes nothing
        try:
            registered = pool.submit(people.register, person_id, "Ann", file_id)
            wait_until(lambda: redis.zscore(keys.recent, str(person_id)))
            redis.publish(keys.purge, "still unwritten")
        finally:
            late.client_unpause()
        assert registered.result().is_new
        assert [hear(), hear()] == [b"still unwritten", Subject.of_person(person_id).encode()]


def test_a_name_that_is_written_while_a_picture_is_adopted_is_kept(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.register(1, "Ann", None)
    fetch, names = people._records.fetch, ["Zoë"]

    def fetch_before_another_writes(person_id: int) -> Person:
        person = fetch(person_id)
        if names:
            people.register(1, names.pop(), None)
        return person

    monkeypatch.setattr(people._records, "fetch", fetch_before_another_writes)
    assert people.show(people.get(1), found(A))
    assert (people.get(1).name, people.get(1).photo_file_id) == ("Zoë", A)


def test_records_and_order_never_expire(people: People, redis: Redis, keys: Keys) -> None:
    people.register(1, "Ann", A)
    assert [redis.ttl(key) for key in (keys.person(1), keys.recent, keys.people(A))] == [-1, -1, -1]


def test_an_unknown_id_has_an_empty_record(people: People) -> None:
    people.register(1, "Ann", None)
    assert people.get(2) == Person(2)
    assert not people.get(2).is_registered
    assert people.get_many([2, 1]) == [Person(2), people.get(1)]
    assert people.get_many([]) == []


def test_a_listed_id_without_a_record_is_skipped_and_can_be_dropped(people: People, redis: Redis, keys: Keys) -> None:
    people.register(1, "Ann", None)
    redis.zadd(keys.recent, {"7": 1})
    assert [person.id for person in people.list_recent(10)] == [1]
    people.drop_places([7])
    people.drop_places([])
    assert people.list_recent_ids(10) == [1]


def test_unknown_fields_are_kept(people: People, redis: Redis, keys: Keys) -> None:
    people.register(1, "Ann", A)
    record = json.loads(redis.get(keys.person(1)) or "")
    redis.set(keys.person(1), json.dumps(record | {"from_the_future": [1]}))
    people.register(1, "Anna", None)
    people.show(people.get(1), found(B))
    people.drop_photos(1)
    assert json.loads(redis.get(keys.person(1)) or "")["from_the_future"] == [1]
    assert people.get(1).name == "Anna"


def test_a_record_of_an_older_release_is_read(people: People, redis: Redis, keys: Keys) -> None:
    redis.set(keys.person(1), json.dumps({"id": 1, "name": "Ann", "joined_us": 5}))
    assert people.get(1) == Person(1, "Ann", 5)


def test_a_given_picture_is_pinned_until_the_next_put(people: People) -> None:
    assert people.register(1, "Ann", A)[0].is_pinned
    assert people.register(1, "Ann", None, by_user=True)[0].is_pinned
    assert not people.register(1, "Ann", None)[0].is_pinned
    assert people.get(1).photo_file_id == A


def test_without_a_picture_the_partner_follows_the_profile(people: People) -> None:
    person, *_ = people.register(1, "Ann", None, by_user=True)
    assert (person.is_pinned, person.photo_file_id) == (False, None)


def test_a_new_picture_keeps_the_previous_one_until_it_is_ready(people: People) -> None:
    people.register(1, "Ann", A)
    people.register(1, "Ann", B)
    assert (people.get(1).photo_file_id, people.get(1).previous_file_id) == (B, A)
    assert people.get(1).shown == (B, A)
    assert (showing(people, A), showing(people, B)) == ({1}, {1})


def test_a_third_picture_releases_the_first_one(people: People) -> None:
    for file_id in (A, B, C):
        people.register(1, "Ann", file_id)
    assert people.get(1).shown == (C, B)
    assert showing(people, A) == set()


def test_switching_between_two_pictures_keeps_both(people: People) -> None:
    for file_id in (A, B, A, A):
        people.register(1, "Ann", file_id)
    assert people.get(1).shown == (A, B)
    assert (showing(people, A), showing(people, B)) == ({1}, {1})


def test_a_found_picture_is_adopted(people: People) -> None:
    people.register(1, "Ann", None)
    assert people.show(people.get(1), found(A))
    assert (people.get(1).photo_file_id, people.get(1).photo_unique_id) == (A, found(A).unique_id)
    assert showing(people, A) == {1}


def test_an_adopted_picture_replaces_all_earlier_ones(people: People) -> None:
    people.register(1, "Ann", A)
    people.register(1, "Ann", B)
    people.register(1, "Ann", None)
    assert people.show(people.get(1), found(C))
    assert people.get(1).shown == (C,)
    assert [showing(people, file_id) for file_id in (A, B, C)] == [set(), set(), {1}]


def test_adopting_the_same_picture_again_changes_nothing(people: People) -> None:
    people.register(1, "Ann", None)
    people.show(people.get(1), found(A))
    assert people.show(people.get(1), found(A))
    assert (list(people.get(1).shown), showing(people, A)) == ([A], {1})


def test_a_pinned_partner_adopts_no_picture(people: People) -> None:
    people.register(1, "Ann", A)
    assert not people.show(people.get(1), found(B))
    assert (list(people.get(1).shown), showing(people, B)) == ([A], set())


def test_a_forgotten_partner_adopts_no_picture_and_leaves_no_trace(people: People, redis: Redis) -> None:
    assert not people.show(people.get(1), found(A))
    assert not list(redis.scan_iter("*"))


def test_a_profile_without_a_picture_shows_none(people: People) -> None:
    people.register(1, "Ann", None)
    people.show(people.get(1), found(A))
    assert people.drop_photos(1) == (A,)
    assert people.get(1).shown == ()


def test_a_partner_whose_profile_never_showed_a_picture_stays_one(people: People) -> None:
    people.register(1, "Ann", None)
    assert people.drop_photos(1) == ()
    assert people.get(1).name == "Ann"
    assert people.list_recent_ids(10) == [1]


def test_a_pinned_picture_is_not_dropped_with_the_profile(people: People) -> None:
    people.register(1, "Ann", A)
    assert people.drop_photos(1) == ()
    assert people.get(1).shown == (A,)


def test_dropping_the_picture_of_an_unknown_partner_is_no_error(people: People, redis: Redis) -> None:
    assert people.drop_photos(1) == ()
    assert not list(redis.scan_iter("*"))


def test_a_removed_partner_is_also_removed_from_the_list(people: People, redis: Redis, keys: Keys) -> None:
    people.register(1, "Ann", A)
    people.register(1, "Ann", B)
    assert people.remove(1).ever_shown == (B, A)
    assert people.remove(1) == Person(1)
    assert not redis.exists(keys.person(1), keys.recent)


def test_a_partner_who_registers_again_after_removal_gets_a_new_position(people: People) -> None:
    for person_id in (1, 2):
        people.register(person_id, "Ann", None)
    people.remove(1)
    assert people.register(1, "Ann", None)[1]
    assert people.list_recent_ids(10) == [1, 2]
