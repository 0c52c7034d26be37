"""People: their former pictures, who is kept warm, and lookups."""

from __future__ import annotations

import json

from redis import Redis

from tests.conftest import listening
from tests.support.clock import Clock
from tests.support.remaining import remaining
from tests.warmer.state.conftest import CHECK, TTL, A, B, C, found, showing
from warmer.keys import Keys, Subject
from warmer.state.people import FRESH_SECONDS, People
from warmer.state.person import FORMER_MAX, Person


def test_every_picture_ever_shown_is_recorded(people: People) -> None:
    for file_id in (A, B, C, A):
        people.register(1, "Ann", file_id)
    assert set(people.get(1).ever_shown) == {A, B, C}
    assert people.get(1).shown == (A, C)


def test_replaced_pictures_of_the_profile_are_recorded_too(people: People) -> None:
    people.register(1, "Ann", None)
    for file_id in (A, B):
        people.show(people.get(1), found(file_id))
    assert people.get(1).ever_shown == (B, A)
    assert people.drop_photos(1) == people.get(1).ever_shown == (B, A)
    people.end_drop(1)
    assert people.get(1).ever_shown == ()


def test_a_picture_that_comes_before_a_drop_has_ended_stays(people: People) -> None:
    people.register(1, "Ann", None)
    people.show(people.get(1), found(A))
    people.drop_photos(1)
    people.register(1, "Ann", B)
    people.end_drop(1)
    assert people.get(1).shown == (B,)


def test_the_number_of_former_pictures_is_limited(people: People) -> None:
    for number in range(FORMER_MAX + 5):
        people.register(1, "Ann", f"{A}{number}")
    assert len(people.get(1).ever_shown) == FORMER_MAX + 1
    assert f"{A}{FORMER_MAX}" in people.get(1).ever_shown


def test_the_newest_partners_are_kept_warm(people: People) -> None:
    for person_id, file_id in ((1, A), (2, B), (3, C)):
        people.register(person_id, "Ann", file_id)
    assert [people.is_kept_warm(file_id) for file_id in (A, B, C)] == [False, True, True]
    assert [people.is_kept_warm(Subject.of_person(person_id)) for person_id in (1, 2, 3, 4)] == [
        False,
        True,
        True,
        False,
    ]


def test_a_picture_is_kept_warm_while_one_of_the_newest_shows_it(people: People) -> None:
    for person_id, file_id in ((1, A), (2, B), (3, A)):
        people.register(person_id, "Ann", file_id)
    assert people.is_kept_warm(A)


def test_a_replaced_picture_is_not_kept_warm(people: People) -> None:
    people.register(1, "Ann", A)
    people.register(1, "Ann", B)
    assert (people.is_kept_warm(A), people.is_kept_warm(B)) == (False, True)
    people.register(1, "Ann", A)
    assert (people.is_kept_warm(A), people.is_kept_warm(B)) == (True, False)


def test_with_a_keep_of_zero_no_picture_is_kept_warm(redis: Redis, keys: Keys) -> None:
    people = People(redis, keys, keep=0, ttl_seconds=TTL, check_seconds=CHECK)
    people.register(1, "Ann", A)
    assert not people.is_kept_warm(A)
    assert people.list_recent_ids(10) == [1]


def test_a_found_picture_is_shown_at_once_or_becomes_the_next_one(people: People) -> None:
    people.register(1, "Ann")
    people.note_look_up(people.get(1), found(A))
    assert (people.get(1).shown, people.get(1).photo_file_id) == ((A,), None)
    people.show(people.get(1), found(A))
    people.note_look_up(people.get(1), found(B))
    assert (people.get(1).shown, people.get(1).next_file_id) == ((A,), B)


def test_a_lookup_is_recorded_with_the_time_of_redis(people: People, redis: Redis) -> None:
    before = redis.time()[0]
    people.note_look_up(people.get(1), found(A))
    person, age_seconds = people.get_with_age(1)
    assert before <= person.looked_up_at <= redis.time()[0]
    assert 0 <= age_seconds <= redis.time()[0] - before


def test_the_record_of_an_unregistered_id_lives_as_long_as_a_picture(people: People, redis: Redis, keys: Keys) -> None:
    people.note_look_up(people.get(1), found(A))
    people.show(people.get(1), found(A))
    assert redis.ttl(keys.person(1)) == remaining(TTL)
    assert not redis.exists(keys.people(A), keys.recent)


def test_an_id_that_registers_after_it_was_resolved_keeps_its_picture(people: People, redis: Redis, keys: Keys) -> None:
    people.note_look_up(people.get(1), found(A))
    people.show(people.get(1), found(A))
    people.register(1, "Ann")
    assert (people.get(1).shown, showing(people, A), redis.ttl(keys.person(1))) == ((A,), {1}, -1)


def test_a_lookup_of_a_person_deleted_meanwhile_writes_no_key(people: People, redis: Redis) -> None:
    people.register(1, "Ann")
    before = people.get(1)
    people.remove(1)
    assert people.note_look_up(before, found(A)) is None
    assert not list(redis.scan_iter("*"))


def test_a_lookup_does_not_replace_a_picture_pinned_meanwhile(people: People) -> None:
    people.register(1, "Ann")
    before = people.get(1)
    people.register(1, "Ann", A)
    people.note_look_up(before, found(B))
    assert (people.get(1).shown, people.get(1).next_file_id) == ((A,), None)


def test_dropping_the_next_picture_keeps_the_current_one_and_records_both(people: People) -> None:
    people.register(1, "Ann")
    people.show(people.get(1), found(A))
    people.note_look_up(people.get(1), found(B))
    people.drop_next(1)
    people.drop_next(2)
    assert (people.get(1).shown, people.get(1).next_file_id, people.get(1).ever_shown) == ((A,), None, (A, B))


def test_a_registration_requires_a_lookup_until_one_is_recorded(people: People) -> None:
    assert people.register(1, "Ann").person.needs_look_up
    people.note_look_up(people.get(1), found(A))
    assert not people.get(1).needs_look_up
    assert not people.register(1, "Ann", A).person.needs_look_up


def test_a_second_registration_by_the_user_within_a_minute_is_a_repeat(
    people: People, redis: Redis, keys: Keys
) -> None:
    def by_user() -> bool:
        return people.register(1, "Ann", by_user=True).is_repeat

    assert [people.register(1, "Ann").is_repeat, by_user(), by_user()] == [False, False, True]
    record = json.loads(redis.get(keys.person(1)) or "")
    redis.set(keys.person(1), json.dumps(record | {"registered_at": record["registered_at"] - FRESH_SECONDS}))
    assert not by_user()


def test_a_registration_clears_tombstones_and_the_negative_cache_of_the_id(
    people: People, redis: Redis, keys: Keys
) -> None:
    subject = Subject.of_person(1)
    for key in (keys.forgotten(subject), keys.forgotten(A), *keys.negatives(subject)):
        redis.set(key, "1")
    people.register(1, "Ann", A)
    assert not redis.exists(keys.forgotten(subject), keys.forgotten(A))
    assert not any(redis.exists(key) for key in keys.negatives(subject))


def test_a_registration_keeps_the_negative_cache_of_its_picture(people: People, redis: Redis, keys: Keys) -> None:
    """A file id names the same bytes for ever, and a backend that registers it again and again asks Telegram once."""
    for key in keys.negatives(A):
        redis.set(key, "1")
    people.register(1, "Ann", A)
    assert all(redis.exists(key) for key in keys.negatives(A))


def test_a_repeated_registration_keeps_the_negative_cache(people: People, redis: Redis, keys: Keys) -> None:
    people.register(1, "Ann", by_user=True)
    redis.set(keys.unavailable(Subject.of_person(1)), "none")
    people.register(1, "Ann", by_user=True)
    assert redis.exists(keys.unavailable(Subject.of_person(1)))


def test_a_changed_picture_purges_the_id_and_an_unchanged_one_does_not(
    people: People, redis: Redis, keys: Keys
) -> None:
    with listening(redis, keys.purge) as hear:
        for file_id in (B, B, A, A, B):
            people.note_look_up(people.get(42), found(file_id))
        redis.publish(keys.purge, "the end")
        assert list(iter(hear, b"the end")) == [b"user:42"] * 3


def test_a_registration_that_changes_lists_purges_the_id_and_another_one_does_not(
    people: People, redis: Redis, keys: Keys
) -> None:
    with listening(redis, keys.purge) as hear:
        for name, file_id in (("Ann", A), ("Ann", A), ("Zoë", A), ("Zoë", A), ("Zoë", B), ("Zoë", B)):
            people.register(42, name, file_id)
        redis.publish(keys.purge, "the end")
        assert list(iter(hear, b"the end")) == [b"user:42"] * 3


def test_a_profile_is_aged_after_one_and_a_quarter_check_intervals(redis: Redis, keys: Keys) -> None:
    clock = Clock()
    people = People(redis, keys, keep=2, ttl_seconds=TTL, check_seconds=CHECK, wall_clock=clock)
    person = Person(1, looked_up_at=int(clock()))
    clock.advance(1.25 * CHECK - 2)
    assert not people.is_aged(person)
    clock.advance(4)
    assert people.is_aged(person)
    assert not people.is_aged(Person(1, is_pinned=True))


def test_a_lookup_is_fresh_for_a_minute_or_half_the_check_interval(redis: Redis, keys: Keys) -> None:
    assert People(redis, keys, keep=2, ttl_seconds=TTL, check_seconds=CHECK).fresh_seconds == FRESH_SECONDS == 60
    assert People(redis, keys, keep=2, ttl_seconds=TTL, check_seconds=10).fresh_seconds == 5
