"""Key names: spelled in one place, and all keys of a picture in one slot."""

from __future__ import annotations

import inspect
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from tests.support.thorough import bounded
from warmer.keys import FILE_ID, MAX_ID, Keys, Subject, parse_user_id

KEYS = Keys("123")
PICTURE = Subject("AgACAgIAAxkBAAIBcGab")


def keys_of(subject: str) -> list[str]:
    """Returns every key of this subject; methods that return several of them are left out."""
    signatures = {name: inspect.signature(method) for name, method in inspect.getmembers(KEYS, inspect.ismethod)}
    named = [
        name
        for name, signature in signatures.items()
        if {"subject", "file_id"} & {*signature.parameters} and signature.return_annotation == "str"
    ]
    rest = {"variant": (80, "webp"), "enqueued": ("hot",)}
    return [getattr(KEYS, name)(subject, *rest.get(name, ())) for name in named if not name.startswith("_")]


def test_every_key_starts_with_the_version_and_the_bot() -> None:
    plain = [KEYS.recent, KEYS.schedule, KEYS.budget, KEYS.workers, KEYS.done, KEYS.purge, KEYS.queue_prefix]
    assert all(key.startswith("v2:123:") for key in [*plain, *keys_of(PICTURE), KEYS.person(1)])


def test_all_keys_of_a_picture_differ_and_share_their_slot() -> None:
    keys = keys_of(PICTURE)
    assert len(set(keys)) == len(keys) > 10
    assert {key_slot(key.encode()) for key in keys} == {key_slot(PICTURE.encode())}
    assert [key for key in keys if f"{{{PICTURE}}}:" not in key] == [KEYS.forgotten(PICTURE)]


@bounded(100, 100)
@given(st.from_regex(FILE_ID, fullmatch=True) | st.integers(1 - MAX_ID, MAX_ID - 1).map(Subject.of_person))
def test_a_tombstone_lives_in_the_slot_of_its_subject_and_does_not_name_it(subject: str) -> None:
    tombstone = KEYS.forgotten(subject)
    assert re.fullmatch(r"v2:123:\{[A-Za-z0-9_-]{16}[@-O]{4}\}:forgotten", tombstone)
    assert key_slot(tombstone.encode()) == key_slot(subject.encode())
    assert subject not in tombstone


def test_tombstones_differ_by_subject_and_by_bot() -> None:
    subjects = [Subject.of_person(number) for number in range(1000)]
    names = {keys.forgotten(subject).partition("{")[2] for keys in (KEYS, Keys("124")) for subject in subjects}
    assert len(names) == 2 * len(subjects)


def test_two_bots_never_share_a_key() -> None:
    assert Keys("1").schedule != Keys("12").schedule
    assert not Keys("12").schedule.startswith(Keys("1").prefix)


def test_the_subject_of_a_person_knows_the_id() -> None:
    ids = [0, 42, -1001234567890, MAX_ID - 1]
    assert [Subject.of_person(user_id).user_id for user_id in ids] == ids
    assert [parse_user_id(str(user_id)) for user_id in ids] == ids


def test_a_subject_is_a_picture_or_a_person_and_never_both() -> None:
    person = Subject.of_person(42)
    assert (PICTURE.is_person, PICTURE.file_id) == (False, PICTURE)
    assert (person.is_person, person.user_id) == (True, 42)
    assert not FILE_ID.fullmatch(person)
    with pytest.raises(ValueError, match="picture"):
        _ = PICTURE.user_id
    with pytest.raises(ValueError, match="person"):
        _ = person.file_id


@pytest.mark.parametrize("user_id", [42, -1001234567890, 0])
def test_the_events_of_an_id_are_in_the_slot_of_its_record(user_id: int) -> None:
    record, events, sending = KEYS.person(user_id), KEYS.events(user_id), KEYS.sending(user_id)
    assert len({record, events, sending}) == 3
    assert key_slot(record.encode()) == key_slot(events.encode()) == key_slot(sending.encode())


def test_a_subject_is_parsed_from_an_id_or_a_file_id() -> None:
    assert [Subject.parse(text) for text in ("42", "-1", PICTURE, "042", "user:42", "AgAC")] == [
        "user:42", "user:-1", PICTURE, None, None, None,
    ]  # fmt: skip


def test_a_subject_is_its_text_in_redis_messages_and_logs() -> None:
    person = Subject.of_person(42)
    assert (f"{person}", str(person), json.dumps([person])) == ("user:42", "user:42", '["user:42"]')


def test_an_id_has_one_spelling_and_52_bits() -> None:
    others = ["", "042", "+42", "-0", "4 2", "42 ", "٤٢", "1e3", str(MAX_ID), f"-{MAX_ID}", "9" * 30]
    assert [text for text in others if parse_user_id(text) is not None] == []


def test_a_file_id_is_base64url_of_20_to_256_characters() -> None:
    others = ["a" * 19, "a" * 257, "a" * 30 + ".jpg", "a" * 30 + "/", "a" * 30 + "=", "a" * 30 + "\n"]
    assert [text for text in others if FILE_ID.fullmatch(text)] == []
    assert all(FILE_ID.fullmatch("aZ9_-" * (length // 5)) for length in (20, 255))
    assert FILE_ID.fullmatch("a" * 256)
