"""Refreshes: which profiles are to be looked up now, and when each was looked up for one last."""

from __future__ import annotations

import pytest
from redis import Redis

from tests.conftest import list_traces
from tests.support.remaining import remaining
from tests.warmer.state.conftest import A
from warmer.keys import REFRESH_SECONDS, REFRESHED_SECONDS, Keys, Subject
from warmer.state.lease import KnownUnavailable, Lease, LeaseManager, TooEarly
from warmer.state.people import People
from warmer.state.photos import PhotoStore
from warmer.state.refreshes import Refreshes
from warmer.state.schedule import Schedule

ANN, BOB, CHAT = (Subject.of_person(one) for one in (41, 42, -1001234567890))


@pytest.fixture
def schedule(redis: Redis, keys: Keys) -> Schedule:
    return Schedule(redis, keys)


@pytest.fixture
def refreshes(redis: Redis, keys: Keys, schedule: Schedule) -> Refreshes:
    return Refreshes(redis, keys, schedule)


@pytest.fixture
def wanted(refreshes: Refreshes, people: People) -> Subject:
    """A subject whose refresh is wanted."""
    (subject,) = request(refreshes, people, ANN)
    return subject


def request(refreshes: Refreshes, people: People, *subjects: Subject) -> list[Subject]:
    return refreshes.request(people.get_many([one.user_id for one in subjects]))


def test_known_unknown_and_chat_profiles_can_be_looked_up_now(refreshes: Refreshes, people: People) -> None:
    people.register(ANN.user_id, "Ann")
    assert request(refreshes, people, ANN, BOB, CHAT) == [ANN, BOB, CHAT]
    assert refreshes.list_wanted([ANN, BOB, CHAT, Subject.of_person(43)]) == {ANN, BOB, CHAT}
    assert request(refreshes, people) == []


def test_a_pinned_picture_has_no_profile_to_look_up(refreshes: Refreshes, people: People) -> None:
    people.register(ANN.user_id, "Ann", A)
    assert request(refreshes, people, ANN, BOB) == [BOB]
    assert refreshes.list_wanted([ANN]) == set()


def test_a_forgotten_person_stays_forgotten(
    refreshes: Refreshes, people: People, store: PhotoStore, redis: Redis, keys: Keys
) -> None:
    store.forget(ANN)
    assert request(refreshes, people, ANN) == []
    assert list_traces(redis, ANN) == []
    assert redis.exists(keys.forgotten(ANN))


def test_forgetting_a_person_ends_the_refresh(refreshes: Refreshes, wanted: Subject, store: PhotoStore) -> None:
    store.forget(wanted)
    assert list_traces(refreshes.redis, wanted) == []


def test_the_next_lease_is_for_the_refresh_until_it_has_an_outcome(
    refreshes: Refreshes, leases: LeaseManager, wanted: Subject
) -> None:
    abandoned = leases.take(wanted, "warm")
    leases.release(abandoned, keep_crash_count=True)
    lease = leases.take(wanted, "rewarm")
    assert abandoned.refresh == lease.refresh != ""
    refreshes.end(lease)
    leases.release(lease)
    assert (refreshes.list_wanted([wanted]), leases.take(wanted, "warm").refresh) == (set(), "")


def test_another_lease_is_for_no_refresh_and_ends_none(
    refreshes: Refreshes, leases: LeaseManager, people: People, wanted: Subject
) -> None:
    other = leases.take(BOB, "warm")
    assert other.refresh == ""
    request(refreshes, people, BOB)
    refreshes.end(other)
    assert refreshes.list_wanted([wanted, BOB]) == {wanted, BOB}


def end_one(refreshes: Refreshes, leases: LeaseManager, subject: Subject) -> Lease:
    """Look up, as a worker."""
    lease = leases.take(subject, "warm")
    refreshes.end(lease)
    leases.release(lease)
    return lease


def test_a_second_refresh_within_a_minute_is_scheduled_for_its_end(
    refreshes: Refreshes, leases: LeaseManager, people: People, schedule: Schedule, wanted: Subject, keys: Keys
) -> None:
    end_one(refreshes, leases, wanted)
    assert request(refreshes, people, wanted, BOB) == [BOB]
    assert refreshes.list_wanted([wanted]) == {wanted}
    assert leases.take(wanted, "warm").refresh == ""  # a job before that does not look it up
    at = refreshes.redis.zscore(keys.schedule, wanted)
    assert at
    assert at - refreshes.redis.time()[0] == remaining(REFRESHED_SECONDS, rel=0.02)  # times are in whole seconds
    assert refreshes.redis.zscore(keys.schedule, BOB) is None


def test_a_refresh_that_is_requested_during_another_one_stays_wanted(
    refreshes: Refreshes, leases: LeaseManager, people: People, wanted: Subject
) -> None:
    lease = leases.take(wanted, "warm")
    request(refreshes, people, wanted)
    refreshes.end(lease)
    assert refreshes.list_wanted([wanted]) == {wanted}
    _, seconds = refreshes.read(wanted.user_id)
    assert seconds == remaining(REFRESHED_SECONDS + 1)


def test_the_person_is_read_with_the_wait_until_the_refresh(
    refreshes: Refreshes, leases: LeaseManager, people: People
) -> None:
    person = people.register(ANN.user_id, "Ann").person
    assert refreshes.read(ANN.user_id) == (person, None)
    request(refreshes, people, ANN)
    assert refreshes.read(ANN.user_id) == (person, 0)
    end_one(refreshes, leases, ANN)
    assert refreshes.read(ANN.user_id) == (person, None)
    assert refreshes.read(BOB.user_id)[0].is_registered is False


def test_a_look_up_of_a_forgotten_person_leaves_no_trace(
    refreshes: Refreshes, leases: LeaseManager, store: PhotoStore, wanted: Subject
) -> None:
    lease = leases.take(wanted, "warm")
    store.forget(wanted)
    refreshes.end(lease)
    assert list_traces(refreshes.redis, wanted) == []


def test_a_refresh_is_wanted_for_an_hour_and_its_end_counts_for_a_minute(
    refreshes: Refreshes, leases: LeaseManager, wanted: Subject, keys: Keys
) -> None:
    assert refreshes.redis.ttl(keys.refresh(wanted)) == remaining(REFRESH_SECONDS)
    end_one(refreshes, leases, wanted)
    assert refreshes.redis.ttl(keys.refreshed(wanted)) == remaining(REFRESHED_SECONDS)


def test_a_refresh_passes_the_negative_cache_once_and_lets_the_entry_stand(
    refreshes: Refreshes, leases: LeaseManager, people: People, store: PhotoStore
) -> None:
    lease = leases.take(ANN, "warm")
    store.put_unavailable(lease, "none", 600, 10_000)
    leases.release(lease)
    request(refreshes, people, ANN)
    known = store.get_unavailable(ANN)
    assert known
    assert known.cause == "none"
    assert end_one(refreshes, leases, ANN).refresh == ""  # `end` has used it up
    request(refreshes, people, ANN)
    with pytest.raises(KnownUnavailable):
        leases.take(ANN, "warm")


def test_entries_do_not_grow_with_refreshes(
    refreshes: Refreshes, leases: LeaseManager, people: People, store: PhotoStore
) -> None:
    seconds = []
    for _ in range(3):
        request(refreshes, people, ANN)
        lease = leases.take(ANN, "warm")
        seconds.append(store.put_unavailable(lease, "none", 600, 10_000))
        leases.release(lease)
    assert seconds == [600] * 3


def test_a_refresh_waits_for_the_end_of_a_backoff(leases: LeaseManager, wanted: Subject) -> None:
    lease = leases.take(wanted, "warm")
    leases.back_off(lease, 30)
    leases.release(lease, keep_crash_count=True)
    with pytest.raises(TooEarly):
        leases.take(wanted, "warm")
