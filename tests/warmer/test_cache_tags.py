"""The tags in `Cache-Tag`."""

from __future__ import annotations

import re

from warmer.cache_tags import CacheTags
from warmer.keys import Subject
from warmer.settings import load_settings

FILE_ID = "AgACAgIAAxUAAWabcdefghijklmnopqrstuvwxyz0123"
ANN, BOB = Subject.of_person(42), Subject.of_person(43)


def make_tags(**changes: str) -> CacheTags:
    """Returns the tags as a process with these settings makes them."""
    return CacheTags(load_settings(**changes).init_data_secret)


def test_a_subject_has_one_tag_in_every_process_and_for_all_signing_keys() -> None:
    here, there = make_tags(), make_tags(url_signing_keys="n" * 32)
    assert [here.of(one) for one in (ANN, FILE_ID)] == [there.of(one) for one in (ANN, FILE_ID)]


def test_different_subjects_have_different_tags() -> None:
    assert len({make_tags().of(one) for one in (ANN, BOB, FILE_ID, "42", FILE_ID.lower())}) == 5


def test_the_tags_of_another_bot_are_different() -> None:
    assert make_tags().of(ANN) != make_tags(telegram_bot_token="1:another-token").of(ANN)


def test_a_tag_has_lower_case_and_no_delimiter_of_any_cdn() -> None:
    assert all(re.fullmatch("[0-9a-f]{24}", make_tags().of(one)) for one in (ANN, FILE_ID))


def test_the_header_lists_each_tag_once() -> None:
    tags = make_tags()
    assert tags.format(ANN, FILE_ID) == ("Cache-Tag", f"{tags.of(ANN)},{tags.of(FILE_ID)}")
    assert tags.format(FILE_ID, FILE_ID) == ("Cache-Tag", tags.of(FILE_ID))
